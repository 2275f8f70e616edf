/** The one stream and its backlog, compared with a naive model that keeps everything. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { NO_ID, ReplicationStream } from '../../lib/replication/stream.ts'
import { encodeRequest } from '../../lib/resp/argv.ts'
import { OTHER_ID, PRIMARY_ID, requests, wordsOf } from './parts.ts'

const BACKLOG = 16 * 1024
/** The largest block a backlog of that size is made of. */
const BLOCK = 4 * 1024

function opened(): ReplicationStream {
  const stream = new ReplicationStream(NO_ID, BACKLOG)
  stream.open(PRIMARY_ID)
  return stream
}

const everything = (stream: ReplicationStream): Buffer => Buffer.concat(stream.readFrom(stream.firstByteOffset))

describe('the replication stream', () => {
  it('does not move while nobody ever read it', () => {
    const stream = new ReplicationStream(PRIMARY_ID, BACKLOG)
    assert.ok(stream.idle)
    stream.append(0, requests('SET a 1'))
    stream.appendControl(['ping'])
    assert.equal(stream.offset, 0)
    assert.ok(!stream.canResume(PRIMARY_ID, 1))
  })

  it('gets a new id with its first reader: what went before is not in it', () => {
    const stream = new ReplicationStream(PRIMARY_ID, BACKLOG)
    stream.open(OTHER_ID)
    assert.equal(stream.replid, OTHER_ID)
    assert.equal(stream.replid2, NO_ID)
    stream.open(PRIMARY_ID)
    assert.equal(stream.replid, OTHER_ID)
  })

  it('names the database before the first command and whenever it changes, but not for control commands', () => {
    const stream = opened()
    stream.appendControl(['ping'])
    stream.append(0, requests('SET a 1'))
    stream.appendCommand(0, ['SET', 'b', Buffer.from('2')])
    stream.append(3, requests('SET c 3'))
    stream.appendControl(['REPLCONF', 'GETACK', '*'])
    stream.append(3, requests('SET d 4'))
    assert.deepEqual(wordsOf(everything(stream)), [
      'ping',
      'SELECT 0',
      'SET a 1',
      'SET b 2',
      'SELECT 3',
      'SET c 3',
      'REPLCONF GETACK *',
      'SET d 4',
    ])
  })

  it('writes PING and GETACK as a real server does: 14 and 37 bytes', () => {
    const stream = opened()
    stream.appendControl(['ping'])
    assert.equal(stream.offset, 14)
    stream.appendControl(['REPLCONF', 'GETACK', '*'])
    assert.equal(stream.offset, 14 + 37)
  })

  it('takes the wanted range of a buffer that changes afterwards', () => {
    const stream = opened()
    const batch = requests('GET x', 'SET a 1', 'GET y')
    const start = requests('GET x').length
    stream.append(0, batch, start, start + requests('SET a 1').length)
    stream.settle()
    batch.fill(0)
    assert.deepEqual(wordsOf(everything(stream)), ['SELECT 0', 'SET a 1'])
  })

  it('hands each reader the bytes of a turn once, in shared buffers', () => {
    const stream = opened()
    const [first, second]: [Buffer[], Buffer[]] = [[], []]
    stream.subscribe((bytes) => first.push(bytes))
    const leave = stream.subscribe((bytes) => second.push(bytes))
    stream.append(0, requests('SET a 1'))
    stream.append(0, requests('SET b 2'))
    assert.equal(first.length, 0)
    stream.flush()
    stream.flush()
    assert.equal(first.length, 1)
    assert.equal(first[0], second[0])
    leave()
    stream.append(0, requests('SET c 3'))
    stream.flush()
    assert.deepEqual([first.length, second.length], [2, 1])
  })

  it('never writes again into what a reader was given, and does where nobody was', () => {
    const stream = opened()
    const turn = (i: number): void => {
      stream.append(0, requests(`SET k ${String(i).padStart(1000, '0')}`))
      stream.flush()
    }
    const memories = new Set<ArrayBufferLike>()
    stream.keeper = {
      fsynced: -1,
      append: (parts) => parts.forEach(({ buffer }) => void memories.add(buffer)),
      renamed() {},
      replaced() {},
      has: () => false,
      async *read() {},
    }
    for (let i = 0; i < 500; i++) turn(i)
    assert.ok(memories.size <= BACKLOG / BLOCK + 3, `${memories.size} blocks`)

    const kept: Buffer[] = []
    const copies: Buffer[] = []
    const leave = stream.subscribe((bytes) => {
      kept.push(bytes)
      copies.push(Buffer.from(bytes))
    })
    for (let i = 0; i < 30; i++) turn(i)
    leave()
    for (let i = 0; i < 200; i++) turn(i)
    assert.deepEqual(kept, copies)
  })

  it('lets resume at any byte kept and one past the end, and nowhere else', () => {
    const stream = opened()
    stream.append(0, requests('SET a 1'))
    assert.ok(stream.canResume(PRIMARY_ID, 1))
    assert.ok(stream.canResume(PRIMARY_ID, stream.offset + 1))
    assert.deepEqual(stream.readFrom(stream.offset + 1), [])
    for (const next of [-1, 0, stream.offset + 2]) assert.ok(!stream.canResume(PRIMARY_ID, next))
    assert.ok(!stream.canResume(OTHER_ID, 1))
  })

  it('accepts the old id after a promotion, up to the byte where the histories part', () => {
    const stream = opened()
    stream.follow()
    stream.adopt(PRIMARY_ID, 1102, 0)
    stream.becomePrimary(OTHER_ID)
    assert.deepEqual([stream.replid, stream.replid2, stream.secondOffset], [OTHER_ID, PRIMARY_ID, 1103])
    stream.append(0, requests('SET a 1'))
    assert.ok(stream.canResume(PRIMARY_ID, 1103))
    assert.ok(!stream.canResume(PRIMARY_ID, 1104))
    assert.ok(stream.canResume(OTHER_ID, 1104))
    assert.deepEqual(wordsOf(everything(stream)), ['SELECT 0', 'SET a 1'])
  })

  it('keeps id and offset through a demotion, so that the former primary can resume', () => {
    const stream = opened()
    stream.append(0, requests('SET a 1'))
    const { offset } = stream
    stream.follow()
    stream.append(0, requests('SET mine 1'))
    assert.deepEqual([stream.replid, stream.offset], [PRIMARY_ID, offset])
    assert.ok(stream.resume(OTHER_ID))
    assert.deepEqual([stream.replid, stream.replid2, stream.secondOffset], [OTHER_ID, PRIMARY_ID, offset + 1])
    assert.ok(!stream.resume(OTHER_ID))
    assert.ok(stream.canResume(PRIMARY_ID, 1))
  })

  it('forgets its own past when it adopts another history', () => {
    const stream = opened()
    stream.append(0, requests('SET a 1'))
    stream.follow()
    stream.adopt(OTHER_ID, 5000, 2)
    assert.deepEqual([stream.replid, stream.replid2, stream.offset, stream.db], [OTHER_ID, NO_ID, 5000, 2])
    assert.ok(!stream.canResume(PRIMARY_ID, 1))
    assert.ok(stream.canResume(OTHER_ID, 5001))
  })

  it('ends its history when nobody has read for long', () => {
    const stream = opened()
    stream.append(0, requests('SET a 1'))
    stream.close(OTHER_ID)
    assert.ok(stream.idle && !stream.hasBacklog)
    assert.deepEqual([stream.replid, stream.replid2], [OTHER_ID, NO_ID])
  })

  it('agrees with a model that keeps every byte', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const world = createWorld()
        for (const op of operations) {
          op(world)
          checkWorld(world)
        }
      }),
    )
  })
})

/** The stream beside all bytes of its history from `base` on. */
interface World {
  readonly stream: ReplicationStream
  all: Buffer
  base: number
  db: number
  /** What a reader was handed. */
  read: Buffer
  ids: number
}

type Operation = (world: World) => void

function createWorld(): World {
  const stream = opened()
  const world: World = { stream, all: Buffer.alloc(0), base: 0, db: -1, read: Buffer.alloc(0), ids: 0 }
  stream.subscribe((bytes) => {
    world.read = Buffer.concat([world.read, bytes])
  })
  return world
}

const freshId = (world: World): string => String(world.ids++).padStart(40, 'c')

function add(world: World, bytes: Buffer): void {
  world.all = Buffer.concat([world.all, bytes])
}

const append = (db: number, size: number): Operation => {
  const bytes = encodeRequest(['SET', 'k', Buffer.alloc(size, size)])
  return (world) => {
    world.stream.append(db, bytes)
    if (world.stream.isFollowing) return
    if (db !== world.db) add(world, requests(`SELECT ${db}`))
    world.db = db
    add(world, bytes)
  }
}

const relay =
  (size: number): Operation =>
  (world) => {
    if (!world.stream.isFollowing) return
    const bytes = Buffer.alloc(size + 2, size)
    world.stream.relay(bytes, 1, size + 1, 0)
    add(world, bytes.subarray(1, size + 1))
  }

const adopt =
  (offset: number): Operation =>
  (world) => {
    if (!world.stream.isFollowing) return
    world.stream.flush()
    world.stream.adopt(freshId(world), offset, 0)
    Object.assign(world, { all: Buffer.alloc(0), base: offset, read: Buffer.alloc(0) })
  }

const promote: Operation = (world) => {
  if (!world.stream.isFollowing) return
  world.stream.becomePrimary(freshId(world))
  world.db = -1
}

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.nat(2), fc.nat(9000)).map(([db, size]) => append(db, size)) },
  { weight: 3, arbitrary: fc.nat(9000).map(relay) },
  { weight: 4, arbitrary: fc.constant<Operation>(({ stream }) => stream.flush()) },
  { weight: 1, arbitrary: fc.constant<Operation>(({ stream }) => stream.follow()) },
  { weight: 1, arbitrary: fc.constant(promote) },
  { weight: 1, arbitrary: fc.nat(100_000).map(adopt) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 1, max: 80_000 }).map(
      (size): Operation =>
        ({ stream }) =>
          stream.resize(size),
    ),
  },
)

function checkWorld({ stream, all, base, read }: World): void {
  const end = base + all.length
  assert.equal(stream.offset, end)
  assert.ok(all.subarray(0, read.length).equals(read), 'a reader got other bytes')
  const first = stream.firstByteOffset
  assert.ok(first > base && first <= end + 1)
  for (const next of [first, Math.floor((first + end) / 2), end, end + 1]) {
    if (next < first) continue
    assert.ok(stream.canResume(stream.replid, next))
    assert.ok(Buffer.concat(stream.readFrom(next)).equals(all.subarray(next - 1 - base)), `bytes from ${next}`)
  }
  assert.ok(!stream.canResume(stream.replid, first - 1))
  const kept = end - first + 1
  assert.ok(kept >= Math.min(all.length, BACKLOG), `${kept} of ${all.length} bytes kept`)
}

describe('the backlog', () => {
  it('keeps its size, and at most a block more, once a turn has ended', () => {
    const stream = opened()
    for (let i = 0; i < 200; i++) {
      stream.append(0, encodeRequest(['SET', 'k', Buffer.alloc(i * 10)]))
      stream.flush()
      if (stream.offset > BACKLOG) assert.ok(stream.backlogLength >= BACKLOG)
      assert.ok(stream.backlogLength <= BACKLOG + 2 * BLOCK)
    }
  })

  it('never drops what a turn has not handed out yet', () => {
    const stream = opened()
    const seen: Buffer[] = []
    stream.subscribe((bytes) => seen.push(bytes))
    const large = encodeRequest(['SET', 'k', Buffer.alloc(20 * BACKLOG, 1)])
    stream.append(0, large)
    stream.flush()
    assert.ok(Buffer.concat(seen).subarray(-large.length).equals(large))
  })

  it('shrinks and grows with repl-backlog-size', () => {
    const stream = new ReplicationStream(PRIMARY_ID, 1 << 20)
    stream.open(PRIMARY_ID)
    stream.append(0, encodeRequest(['SET', 'k', Buffer.alloc(1 << 20)]))
    stream.flush()
    stream.resize(BACKLOG)
    stream.append(0, requests('SET a 1'))
    stream.flush()
    assert.ok(stream.backlogLength < 200_000)
    assert.equal(stream.backlogSize, BACKLOG)
  })
})
