/** Values that are too large to be written at once, and the ways they change. */
import { keyFromText } from '../../lib/base/key.ts'
import type { Random } from '../../lib/base/random.ts'
import { DEFAULT_LIMITS } from '../../store/rdb/types.ts'
import { HashValue } from '../../store/types/hash.ts'
import { ListValue } from '../../store/types/list.ts'
import { SetValue } from '../../store/types/set.ts'
import { StreamValue } from '../../store/types/stream.ts'
import { Consumer, Group } from '../../store/types/stream-groups.ts'
import { MIN_ID } from '../../store/types/stream-id.ts'
import { ZSetValue } from '../../store/types/zset.ts'
import type { Value } from '../../store/value.ts'
import { plain, wordsOf } from './rdb-values.ts'

export interface LargeKind<T extends Value = Value> {
  readonly type: T['type']
  /** A value of so many elements. */
  make(size: number): T
  /** Changes one element, or adds or removes some. */
  change(value: T, random: Random): void
}

/** Elements are drawn from those that are there at first, and as many more. */
const some = (of: number, random: Random): string => `element ${random.below(of)}`
const LATER = 1 / 5
const DEADLINE = 2_000_000_000_000

const hash: LargeKind<HashValue> = {
  type: 'hash',
  make(size) {
    const hash = new HashValue()
    for (let i = 0; i < size; i++)
      hash.set(keyFromText(`element ${i}`), Buffer.from(`value ${i}`.repeat(i % 5)), DEFAULT_LIMITS)
    for (let i = 0; i < size; i += 500) hash.setDeadline(`element ${i}`, DEADLINE + i)
    return hash
  },
  change(hash, random) {
    const field = keyFromText(some(6000, random))
    if (random.float() < 1 / 2) hash.delete(field)
    else hash.set(field, Buffer.from('changed'.repeat(random.below(9))), DEFAULT_LIMITS)
    if (hash.find(field) >= 0 && random.float() < LATER) hash.setDeadline(field.text(), DEADLINE)
  },
}

const set: LargeKind<SetValue> = {
  type: 'set',
  make(size) {
    const set = new SetValue()
    for (let i = 0; i < size; i++) set.add(`element ${i}`, DEFAULT_LIMITS)
    return set
  },
  change(set, random) {
    const member = some(6000, random)
    if (random.float() < 1 / 2) set.add(member, DEFAULT_LIMITS)
    else if (random.float() < LATER && set.size > 0) set.removeAt(random.below(set.size))
    else set.remove(member)
  },
}

const zset: LargeKind<ZSetValue> = {
  type: 'zset',
  make(size) {
    const zset = new ZSetValue()
    for (let i = 0; i < size; i++) zset.set(`element ${i}`, (i * 7919) % 1000, DEFAULT_LIMITS)
    return zset
  },
  change(zset, random) {
    const member = some(6000, random)
    if (random.below(5000) === 0) zset.removeRange(0, Math.floor(zset.size * random.float()))
    else if (random.float() < 1 / 3) zset.remove(member)
    else zset.set(member, random.below(1000), DEFAULT_LIMITS)
  },
}

const list: LargeKind<ListValue> = {
  type: 'list',
  make(size) {
    const list = new ListValue()
    for (let i = 0; i < size; i++) list.push('right', -2, Buffer.from(`element ${i} of a list`))
    return list
  },
  change(list, random) {
    const side = random.below(2) === 0 ? 'left' : 'right'
    if (random.float() < LATER) list.drop(side, random.below(12))
    else if (random.float() < 1 / 2) list.push(side, -2, Buffer.from('new'.repeat(random.below(9))))
    else if (list.size > 0) list.set(random.below(list.size), -2, Buffer.from('changed'))
  },
}

const WORDS = wordsOf(['field', 'a value of an entry'].map((word) => Buffer.from(word)))
const NODES = { maxBytes: 4096, maxEntries: 100 }

/** Every 40th entry is pending. */
const stream: LargeKind<StreamValue> = {
  type: 'stream',
  make(size) {
    const stream = new StreamValue()
    const group = stream.groups.add(new Group('group', MIN_ID, 0))
    const consumer = group.consumers.add(new Consumer('consumer', 1, 1))
    for (let i = 1; i <= size; i++) {
      stream.append({ ms: i, seq: 0 }, WORDS, 0, 2, NODES)
      if (i % 40 === 0) group.claim({ ms: i, seq: 0 }, consumer)
    }
    return stream
  },
  change(stream, random) {
    const id = { ms: random.below(6000), seq: 0 }
    const group = stream.groups.get('group')!
    if (random.below(2000) === 0)
      stream.trim({ keep: { length: Math.floor(stream.size * random.float()) }, approximate: false, limit: 0 })
    else if (random.below(50) === 0) group.claim(id, group.consumers.get('consumer')!)
    else if (random.float() < 1 / 2) stream.delete(id)
    else stream.append({ ms: (stream.lastId.ms as number) + 1, seq: 0 }, WORDS, 0, 2, NODES)
  },
}

/** A row is only ever asked to change what it has made. */
export const LARGE_KINDS: readonly LargeKind[] = [list, hash, set, zset, stream]

/** All that is to be found again of a value, deadlines of fields included. */
export const pictureOf = (value: Value): unknown =>
  value.type === 'hash' ? [plain(value), value.deadlines?.encode().latin1Slice()] : plain(value)
