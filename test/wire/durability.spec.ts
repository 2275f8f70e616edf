/** What was acknowledged is there after a crash; what a node has on its disk, it and its replicas go on with; what redis-server has
 *  left on a disk is understood, and the other way round. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ask, connect, fields, outcome } from '../support/client.ts'
import { CrashLoad } from '../support/crash-load.ts'
import { eventually, sleep } from '../support/eventually.ts'
import { type Conf, type Kind, prepareServer, type Server, startServer, stopEverything } from '../support/process.ts'
import { readSample, writeSample } from '../support/sample.ts'
import { scenarios } from '../support/suite.ts'

/** How often the server is killed: few times in a test run, two hundred before a release. */
const ROUNDS = Number(process.env['ROOKERY_DURABILITY_ROUNDS'] ?? 4)
const LIMIT_MS = 30_000
/** For all rounds. */
const LIMITS_MS = 60_000 + ROUNDS * 10_000
const APPEND: Conf = { appendonly: 'yes', 'auto-aof-rewrite-min-size': '64kb' }

const ours = (conf: Conf = APPEND): Promise<Server> => startServer({ kind: 'rookery', conf })
const segmentsOf = (server: Server): string[] =>
  readdirSync(join(server.dir, 'appendonlydir')).filter((name) => name.endsWith('.aof'))
const statOf = async (server: Server, section: string, name: string): Promise<string | undefined> =>
  (await fields(server.port, 'INFO', section))[name]

async function idle(server: Server): Promise<void> {
  await eventually(() => fields(server.port, 'INFO', 'persistence'), {
    what: 'nothing is being saved',
    withinMs: LIMIT_MS,
    until: (info) => info['aof_rewrite_in_progress'] === '0' && info['rdb_bgsave_in_progress'] === '0',
  })
}

async function sampleAt(server: Server): Promise<unknown> {
  const client = await connect(server.port)
  return readSample(client, 'sample:')
}

async function fill(server: Server): Promise<unknown> {
  const client = await connect(server.port)
  await writeSample(client, 'sample:')
  return sampleAt(server)
}

describe('a node that is killed', function () {
  this.timeout(LIMITS_MS)
  this.slow(60_000)
  afterEach(stopEverything)

  for (const appendfsync of ['always', 'everysec'])
    it(`has everything it acknowledged, and no half transaction (appendfsync ${appendfsync})`, async () => {
      const server = await ours({ ...APPEND, appendfsync })
      const load = new CrashLoad()
      for (let round = 0; round < ROUNDS; round++) {
        const over = load.untilCrash(server.port)
        await sleep(50 + Math.random() * 400)
        if (round % 2 === 1) await ask(server.port, 'BGREWRITEAOF').catch(() => {})
        await sleep(Math.random() * 30)
        await server.kill('SIGKILL')
        await over
        await server.start()
        await load.check(server.port)
      }
    })

  it('replays only what came after its last checkpoint', async () => {
    const server = await ours({ appendonly: 'yes' })
    const before = await fill(server)
    await ask(server.port, 'BGREWRITEAOF')
    await idle(server)
    await ask(server.port, 'SET', 'after', '1')
    const size = async (name: string): Promise<number> => Number(await statOf(server, 'persistence', name))
    assert.ok((await size('aof_base_size')) > 1000)
    assert.ok((await size('aof_current_size')) - (await size('aof_base_size')) < 100)
    await server.kill()
    await server.start()
    assert.deepEqual(await sampleAt(server), before)
    assert.equal(await outcome(server.port, 'GET', 'after'), '1')
    assert.match(server.log, /DB loaded from append only file: \d+\.\d{3} seconds/)
  })

  it('drops segments that a checkpoint has made unnecessary', async () => {
    const server = await ours({ ...APPEND, 'repl-backlog-size': '16kb', 'auto-aof-rewrite-percentage': '0' })
    const client = await connect(server.port)
    const value = 'x'.repeat(1000)
    for (let i = 0; i < 300; i++) await client.call('SET', `k${i % 10}`, value)
    await idle(server)
    await ask(server.port, 'BGREWRITEAOF')
    await idle(server)
    assert.ok(segmentsOf(server).length <= 2, segmentsOf(server).join(' '))
    await server.kill()
    await server.start()
    assert.equal(await outcome(server.port, 'DBSIZE'), '10')
  })

  it('keeps what was removed removed, and what was flushed flushed', async () => {
    const server = await ours({ appendonly: 'yes' })
    for (const words of [['SET', 'a', '1'], ['SET', 'b', '1'], ['SET', 'c', '1', 'PX', '60000'], ['BGREWRITEAOF']])
      await ask(server.port, ...words)
    await idle(server)
    for (const words of [['DEL', 'a'], ['PERSIST', 'c'], ['BGREWRITEAOF']]) await ask(server.port, ...words)
    await idle(server)
    await server.kill()
    await server.start()
    assert.deepEqual([await outcome(server.port, 'EXISTS', 'a'), await outcome(server.port, 'TTL', 'c')], ['0', '-1'])
    await ask(server.port, 'FLUSHALL')
    await ask(server.port, 'SET', 'd', '1')
    await ask(server.port, 'BGREWRITEAOF')
    await idle(server)
    await server.kill()
    await server.start()
    assert.deepEqual(await ask(server.port, 'KEYS', '*'), ['d'])
  })

  it('keeps what came before CONFIG SET appendonly yes', async () => {
    const server = await ours({})
    await ask(server.port, 'SET', 'a', '1')
    await ask(server.port, 'CONFIG', 'SET', 'appendonly', 'yes')
    await eventually(() => statOf(server, 'persistence', 'aof_rewrites'), {
      what: 'the whole data set is stored',
      withinMs: LIMIT_MS,
      until: (count) => count === '1',
    })
    await ask(server.port, 'INCR', 'a')
    await server.kill()
    server.launch('--appendonly', 'yes')
    await eventually(() => outcome(server.port, 'GET', 'a'), {
      what: 'the data set is back',
      withinMs: LIMIT_MS,
      until: (value) => value === '2',
    })
  })

  it('stores what there is when BGREWRITEAOF is asked for without an append-only file', async () => {
    const server = await ours({})
    const before = await fill(server)
    assert.equal(await outcome(server.port, 'BGREWRITEAOF'), 'Background append only file rewriting started')
    await idle(server)
    await ask(server.port, 'SET', 'later', '1')
    assert.equal(await statOf(server, 'persistence', 'aof_enabled'), '0')
    await server.kill()
    server.launch('--appendonly', 'yes')
    await eventually(async () => assert.deepEqual(await sampleAt(server), before), {
      what: 'the data set is back',
      withinMs: LIMIT_MS,
      until: () => true,
    })
    assert.equal(await outcome(server.port, 'EXISTS', 'later'), '0')
  })

  it('refuses a damaged checkpoint, says what to do, and leaves everything as it is', async () => {
    const server = await ours({ appendonly: 'yes' })
    const client = await connect(server.port)
    for (let i = 0; i < 50; i++)
      await client.pipeline(Array.from({ length: 100 }, (_, n) => ['SET', `key:${i}:${n}`, 'v'.repeat(50)]))
    await ask(server.port, 'BGREWRITEAOF')
    await idle(server)
    await server.restart()
    await server.kill('SIGTERM')
    const folder = join(server.dir, 'appendonlydir', 'checkpoint')
    const table = join(folder, readdirSync(folder).find((name) => name.endsWith('.ldb'))!)
    const bytes = readFileSync(table)
    bytes.fill(0x55, 2000, 2600)
    writeFileSync(table, bytes)
    server.launch()
    assert.equal(await server.exited(), 1)
    assert.match(server.log, /the checkpoint in .* cannot be read: .* Nothing was changed\. Restore .* from a copy/)
    assert.deepEqual(readFileSync(table), bytes)
  })

  it('does not share its files with another process', async () => {
    const server = await ours({ appendonly: 'yes' })
    const other = await prepareServer({ kind: 'rookery', conf: { appendonly: 'yes', dir: server.dir } })
    other.launch()
    assert.equal(await other.exited(), 1)
    assert.match(other.log, /is already used by another process/)
  })

  it('writes nothing at all with `save ""` and appendonly no', async () => {
    const server = await ours({})
    await ask(server.port, 'SET', 'a', '1')
    await server.kill('SIGTERM')
    assert.deepEqual(readdirSync(server.dir).sort(), ['log.txt', 'redis.conf'])
  })
})

describe('a node on a full disk', function () {
  this.timeout(60_000)
  this.slow(60_000)
  let mounted: string | undefined
  beforeEach(function () {
    const folder = mkdtempSync(join(tmpdir(), 'rookery-full-'))
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder]).status === 0) mounted = folder
    else this.skip()
  })
  afterEach(async () => {
    await stopEverything()
    if (mounted !== undefined) spawnSync('umount', [mounted])
    if (mounted !== undefined) rmSync(mounted, { recursive: true, force: true })
    mounted = undefined
  })

  it('refuses writes, serves reads, recovers when space returns, and keeps what it acknowledged', async () => {
    const ballast = join(mounted!, 'ballast')
    writeFileSync(ballast, Buffer.alloc(3 * 1024 * 1024))
    const server = await ours({ appendonly: 'yes', dir: mounted! })
    const client = await connect(server.port)
    const acknowledged: string[] = []
    const fillUp = async (): Promise<void> => {
      for (let i = 0; ; i++) {
        await client.call('SET', `k${i}`, 'x'.repeat(10_000))
        acknowledged.push(`k${i}`)
      }
    }
    await assert.rejects(fillUp())
    assert.match(
      await outcome(server.port, 'SET', 'more', '1'),
      /^MISCONF Errors writing to the AOF file: No space left/,
    )
    assert.equal(await outcome(server.port, 'STRLEN', acknowledged[0]!), '10000')
    rmSync(ballast)
    await eventually(() => outcome(server.port, 'SET', 'more', '1'), {
      what: 'writes are accepted again',
      withinMs: LIMIT_MS,
      until: (reply) => reply === 'OK',
    })
    await server.kill()
    await server.start()
    for (const key of [...acknowledged, 'more']) assert.equal(await outcome(server.port, 'EXISTS', key), '1', key)
  })
})

scenarios('partial resynchronization after a crash', ['rookery', 'mixed'], (kinds) => {
  const replicaKinds: readonly Kind[] = kinds.length === 1 ? ['rookery'] : ['redis']
  let primary: Server
  let replica: Server

  before(async () => {
    primary = await ours({ appendonly: 'yes', 'repl-backlog-size': '16kb' })
    // A redis-server remembers its place in a history in its dump only.
    const conf: Conf = replicaKinds[0] === 'redis' ? { save: '3600 1000000' } : { appendonly: 'yes' }
    replica = await startServer({
      kind: replicaKinds[0]!,
      conf: { ...conf, replicaof: `127.0.0.1 ${primary.port}`, 'repl-diskless-sync-delay': '0' },
    })
    await inStep()
  })

  async function inStep(): Promise<void> {
    await eventually(
      async () => {
        const [one, other] = await Promise.all([
          fields(primary.port, 'INFO', 'replication'),
          fields(replica.port, 'INFO', 'replication'),
        ])
        return other['master_link_status'] === 'up' && one['master_repl_offset'] === other['slave_repl_offset']
      },
      { what: 'the replica has everything', withinMs: LIMIT_MS },
    )
  }

  async function write(prefix: string, bytes: number): Promise<void> {
    const client = await connect(primary.port)
    const commands = Array.from({ length: bytes / 1000 }, (_, i) => ['SET', `${prefix}:${i}`, 'x'.repeat(960)])
    await client.pipeline(commands)
    client.close()
  }

  /** Sooner or later: the primary has to notice what has expired. */
  const same = (): Promise<unknown> =>
    eventually(
      async () => [await outcome(primary.port, 'DEBUG', 'DIGEST'), await outcome(replica.port, 'DEBUG', 'DIGEST')],
      {
        what: 'both have the same data',
        withinMs: LIMIT_MS,
        until: ([one, other]) => one === other,
      },
    )

  it('lets a restarted replica go on from the segments, though the backlog is too short', async () => {
    await write('first', 100_000)
    await inStep()
    // What it has got in full must be on its disk before the crash.
    await idle(replica)
    await replica.kill(replica.kind === 'redis' ? 'SIGTERM' : 'SIGKILL')
    await write('second', 1_000_000)
    const before = Number(await statOf(primary, 'stats', 'total_net_repl_output_bytes'))
    await replica.start()
    await inStep()
    const sent = Number(await statOf(primary, 'stats', 'total_net_repl_output_bytes')) - before
    assert.ok(sent >= 950_000 && sent < 1_200_000, `${sent} bytes were sent`)
    assert.equal(await statOf(primary, 'stats', 'sync_partial_ok'), '1')
    await same()
  })

  it('lets the replica of a killed and restarted primary go on', async () => {
    await write('third', 200_000)
    await primary.kill()
    await primary.start()
    await write('fourth', 200_000)
    await inStep()
    assert.equal(await statOf(primary, 'stats', 'sync_full'), '0')
    assert.equal(await statOf(primary, 'stats', 'sync_partial_ok'), '1')
    await same()
  })

  it('ends identical whichever side is killed, and the primary has all it acknowledged', async function () {
    this.timeout(LIMITS_MS)
    const load = new CrashLoad()
    for (let round = 0; round < ROUNDS; round++) {
      const victim = round % 2 === 0 ? primary : replica
      const writing = load.untilCrash(primary.port)
      await sleep(50 + Math.random() * 200)
      if (round % 4 > 1) await ask(victim.port, 'BGREWRITEAOF').catch(() => {})
      await sleep(Math.random() * 30)
      await victim.kill()
      load.stop()
      await writing
      await victim.start()
      await load.check(primary.port)
      await write(`after:${round}`, 20_000)
      await inStep()
      await same()
    }
  })
})

scenarios('the files of redis-server and ours', ['mixed'], () => {
  it('dump.rdb of redis-server is loaded, and ours by redis-server', async () => {
    const server = await startServer({ kind: 'redis', conf: { save: '3600 1000000' } })
    const sample = await fill(server)
    await server.restart('rookery')
    assert.deepEqual(await sampleAt(server), sample)
    assert.match(server.log, /DB loaded from disk: /)
    await ask(server.port, 'SET', 'ours', '1')
    await server.restart('redis')
    assert.deepEqual(await sampleAt(server), sample)
    assert.equal(await outcome(server.port, 'GET', 'ours'), '1')
  })

  it('dump.rdb is written by SAVE, BGSAVE and by rule', async () => {
    const server = await ours({ save: '1 3' })
    const sample = await fill(server)
    await eventually(() => existsSync(join(server.dir, 'dump.rdb')), { what: 'a rule saves', withinMs: LIMIT_MS })
    await idle(server)
    assert.match(server.log, /3 changes in 1 seconds\. Saving\.\.\./)
    await ask(server.port, 'SET', 'b', '1')
    assert.equal(await outcome(server.port, 'BGSAVE'), 'Background saving started')
    await idle(server)
    await server.kill()
    await server.start()
    assert.equal(await outcome(server.port, 'GET', 'b'), '1')
    assert.deepEqual(await sampleAt(server), sample)
  })

  for (const preamble of ['yes', 'no'])
    it(`append-only files of redis-server are imported (base as a dump: ${preamble})`, async () => {
      const server = await startServer({ kind: 'redis', conf: { appendonly: 'yes', 'aof-use-rdb-preamble': preamble } })
      await ask(server.port, 'SET', 'gone', '1')
      const sample = await fill(server)
      await ask(server.port, 'BGREWRITEAOF')
      await idle(server)
      await ask(server.port, 'DEL', 'gone')
      await ask(server.port, 'SET', 'new', '1')
      await server.restart('rookery')
      assert.deepEqual(await sampleAt(server), sample)
      assert.equal(await outcome(server.port, 'GET', 'new'), '1')
      assert.equal(await outcome(server.port, 'EXISTS', 'gone'), '0')
      assert.match(server.log, /Imported \d+ keys/)
      await ask(server.port, 'SET', 'newer', '1')
      await server.kill()
      await server.start()
      assert.equal(await outcome(server.port, 'GET', 'newer'), '1')
      assert.deepEqual(await sampleAt(server), sample)
    })

  it('a single old append-only file is imported, with what a crash has left of its end', async () => {
    const server = await prepareServer({ kind: 'rookery', conf: { appendonly: 'yes' } })
    const text =
      '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n#TS:1700000000\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\n*2\r\n$4\r\nIN'
    writeFileSync(join(server.dir, 'appendonly.aof'), text)
    await server.start()
    assert.equal(await outcome(server.port, 'GET', 'a'), '2')
    assert.equal(readFileSync(join(server.dir, 'appendonly.aof'), 'latin1'), text)
  })

  it('a foreign file that is damaged stops the start and stays as it is', async () => {
    const server = await prepareServer({ kind: 'rookery', conf: { save: '3600 1' } })
    mkdirSync(server.dir, { recursive: true })
    writeFileSync(join(server.dir, 'dump.rdb'), 'REDIS0010 nonsense')
    server.launch()
    assert.equal(await server.exited(), 1)
    assert.equal(readFileSync(join(server.dir, 'dump.rdb'), 'latin1'), 'REDIS0010 nonsense')
    assert.match(server.log, /Fatal error loading the DB: .*dump\.rdb/)
  })
})
