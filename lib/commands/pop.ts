/** Popping from the first of several keys that holds anything, at once or as soon as one does: LMPOP, BLMPOP, BLPOP and their
 *  kin for sorted sets. */
import type { Database } from '../../store/keyspace.ts'
import type { Value } from '../../store/value.ts'
import type { Key } from '../base/key.ts'
import { SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { INT64_MAX, integerWithin } from './args.ts'
import { type ArgumentDoc, type Command, countedKeys } from './define.ts'
import { KEYS, word } from './docs.ts'
import { timeoutSeconds } from './timeout.ts'

/** A type whose elements are taken from one of two ends. */
export interface TwoEnded<V extends Value, End extends string> {
  readonly type: V['type']
  readonly ends: readonly [End, End]
  readonly row: (row: Omit<Command, 'group'>) => Command
  /** Throws WRONG_TYPE. */
  readonly forWrite: (db: Database, key: Key) => V | undefined
  /** Pops one, or up to `count` as an array, replies with the name of the key and what was popped, and tells replicas which key it
   *  was. */
  readonly popWithName: (call: Call, key: Key, value: V, end: End, count: number | undefined) => void
}

/** What the flags of every key of a popping command are. */
export const POP_FLAGS = ['RW', 'access', 'delete'] as const
const TIMEOUT: ArgumentDoc = { name: 'timeout', type: 'double' }

/** One of two ends, LEFT or RIGHT, MIN or MAX. */
export const endDoc = (name: string, ends: readonly string[]): ArgumentDoc => ({
  name,
  type: 'oneof',
  arguments: ends.map((end) => word(end.toUpperCase())),
})

/** One of the two ends. Throws SYNTAX. */
export function readEnd<End extends string>(ends: readonly [End, End], argv: Argv, i: number): End {
  const said = i < argv.count ? argv.word(i) : ''
  const end = ends.find((end) => end === said)
  if (end === undefined) throw SYNTAX
  return end
}

/** The row of BLPOP and its like: keys, then a timeout. */
export const blockingPop = <V extends Value, End extends string>(
  kind: TwoEnded<V, End>,
  end: End,
  row: Pick<Command, 'name' | 'flags' | 'since' | 'summary' | 'complexity'>,
): Command =>
  kind.row({
    ...row,
    arity: -3,
    keys: { first: 1, last: -2, step: 1, flags: POP_FLAGS },
    arguments: [KEYS, TIMEOUT],
    run(call, argv) {
      const last = argv.count - 1
      popOrWait(call, kind, { keys: keysFrom(argv, 1, last), end, count: undefined }, timeoutSeconds(argv, last))
    },
  })

/** The rows of LMPOP and BLMPOP and their like: number of keys, keys, end, how many. */
export function popSeveral<V extends Value, End extends string>(
  kind: TwoEnded<V, End>,
  name: string,
  complexity: string,
  summaries: { readonly now: string; readonly blocking: string },
): readonly Command[] {
  const docs: readonly ArgumentDoc[] = [
    { name: 'numkeys', type: 'integer' },
    KEYS,
    endDoc('where', kind.ends),
    { name: 'count', type: 'integer', token: 'COUNT', optional: true },
  ]
  const since = '7.0.0'
  return [
    kind.row({
      name,
      arity: -4,
      flags: ['write', 'movablekeys'],
      keys: countedKeys(1, ...POP_FLAGS),
      since,
      summary: summaries.now,
      complexity,
      arguments: docs,
      run(call, argv) {
        if (!popFirst(call, kind, readSeveral(kind, argv, 1))) call.reply.nilArray()
      },
    }),
    kind.row({
      name: `b${name}`,
      arity: -5,
      flags: ['write', 'blocking', 'movablekeys'],
      keys: countedKeys(2, ...POP_FLAGS),
      since,
      summary: summaries.blocking,
      complexity,
      arguments: [TIMEOUT, ...docs],
      run(call, argv) {
        const wanted = readSeveral(kind, argv, 2)
        popOrWait(call, kind, wanted, timeoutSeconds(argv, 1))
      },
    }),
  ]
}

/** `count` undefined: one element, which is not wrapped in an array. */
interface Wanted<End> {
  readonly keys: readonly Key[]
  readonly end: End
  readonly count: number | undefined
}

/** Arguments [from, to) as keys. */
const keysFrom = (argv: Argv, from: number, to: number): Key[] =>
  Array.from({ length: to - from }, (_, i) => argv.key(from + i))

/** The arguments from the number of keys at `at` on. */
function readSeveral<V extends Value, End extends string>(kind: TwoEnded<V, End>, argv: Argv, at: number): Wanted<End> {
  const keyCount = integerWithin(argv, at, 1n, INT64_MAX, 'numkeys should be greater than 0')
  const endAt = at + keyCount + 1
  const end = readEnd(kind.ends, argv, endAt)
  let count: number | undefined
  for (let i = endAt + 1; i < argv.count; i += 2) {
    if (argv.word(i) !== 'count' || count !== undefined || i + 1 === argv.count) throw SYNTAX
    count = integerWithin(argv, i + 1, 1n, INT64_MAX, 'count should be greater than 0')
  }
  return { keys: keysFrom(argv, at + 1, endAt), end, count: count ?? 1 }
}

/** False when none of the keys holds anything. */
function popFirst<V extends Value, End extends string>(
  call: Call,
  kind: TwoEnded<V, End>,
  wanted: Wanted<End>,
): boolean {
  for (const key of wanted.keys) {
    const value = kind.forWrite(call.db, key)
    if (value === undefined) continue
    kind.popWithName(call, key, value, wanted.end, wanted.count)
    return true
  }
  return false
}

function popOrWait<V extends Value, End extends string>(
  call: Call,
  kind: TwoEnded<V, End>,
  wanted: Wanted<End>,
  timeoutMs: number,
): void {
  if (popFirst(call, kind, wanted)) return
  call.server.blockedKeys.wait(
    call,
    wanted.keys.map((key) => key.text()),
    {
      timeoutMs,
      timedOut: ({ reply }) => reply.nilArray(),
      serve(waiting, key) {
        // A key of another type is none to wait for: it may be replaced by the right one yet.
        if (waiting.db.readForWrite(key)?.type !== kind.type) return false
        return popFirst(waiting, kind, { ...wanted, keys: [key] })
      },
    },
  )
}
