/** Replies of two servers to the same requests: equal byte by byte, where the passing of time and the order of keys allow it. */
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { type Argument, decode, ReplyError, type Value } from './resp.ts'

export type Request = readonly Argument[]

/** The clocks of two servers are read at slightly different moments. */
export const CLOCK_TOLERANCE_MS = 3000

const isNumber = (value: Value | undefined): value is number => typeof value === 'number'

/** Ours are not kept exactly beyond 2^53 ms; by 9 * 10^15 (year 287000) nobody waits for the difference. */
const FAR_MS = 9e15

const near =
  (unitMs: number) =>
  (ours: Value, theirs: Value): boolean => {
    if (!isNumber(ours) || !isNumber(theirs) || ours < 0 !== theirs < 0) return false
    const [a, b] = [ours, theirs].map((value) => Math.min(value * unitMs, FAR_MS)) as [number, number]
    return Math.abs(a - b) <= CLOCK_TOLERANCE_MS
  }

/** Equal, arrays and maps regardless of their order. */
function sameMembers(ours: Value, theirs: Value): boolean {
  const canonical = (value: Value): string => {
    if (value instanceof Map) return canonical([...value])
    return Array.isArray(value) ? `[${value.map(canonical).sort().join()}]` : JSON.stringify(plain(value))
  }
  return canonical(ours) === canonical(theirs)
}

const plain = (value: Value): unknown => (value instanceof ReplyError ? { error: value.message } : value)

/** Equal, moments and the time since them left out: of consumers, and of what is pending for them. */
function sameButTimes(ours: Value, theirs: Value): boolean {
  const timeless = (value: Value): unknown => {
    const items = value instanceof Map ? [...value].flat() : value
    if (!Array.isArray(items)) return plain(value)
    return items.flatMap((item: Value, i) => {
      if (NEWER.has(item) || NEWER.has(items[i - 1])) return []
      return [isTime(items, i) ? 'a time' : timeless(item)]
    })
  }
  return JSON.stringify(timeless(ours)) === JSON.stringify(timeless(theirs))
}

/** Fields of consumers that 7.0 does not have. */
const NEWER: ReadonlySet<unknown> = new Set(['inactive', 'active-time'])

/** A Unix time, `idle` and its value, or the third of the four words about a pending entry. */
const isTime = (items: readonly Value[], i: number): boolean =>
  isNumber(items[i]) && (items[i] > 1e12 || items[i - 1] === 'idle' || (i === 2 && items.length === 4))

const sameKind = (ours: Value, theirs: Value): boolean =>
  typeof ours === typeof theirs && (ours === null) === (theirs === null)
/** As many elements, whichever they are. */
const sameShape = (ours: Value, theirs: Value): boolean =>
  Array.isArray(ours) && Array.isArray(theirs)
    ? ours.length === theirs.length && ours.every((value, i) => sameShape(value, theirs[i] as Value))
    : sameKind(ours, theirs)

type Leniency = (ours: Value, theirs: Value) => boolean

/** Replies that may differ, and how far. */
const LENIENT: ReadonlyMap<string, Leniency> = new Map([
  ['ttl', near(1000)],
  ['pttl', near(1)],
  ['expiretime', near(1000)],
  ['pexpiretime', near(1)],
  ['keys', sameMembers],
  ['scan', sameMembers],
  ['hgetall', sameMembers],
  ['hkeys', sameMembers],
  ['hvals', sameMembers],
  ['hscan', sameMembers],
  ['hrandfield', sameShape],
  ['smembers', sameMembers],
  ['sscan', sameMembers],
  ['sinter', sameMembers],
  ['sunion', sameMembers],
  ['sdiff', sameMembers],
  ['spop', sameMembers],
  ['srandmember', sameShape],
  ['zscan', sameMembers],
  ['zrandmember', sameShape],
  ['randomkey', sameKind],
  // There a whole number that INCRBYFLOAT leaves is a text until it is written again, and SORT unpacks a sorted set for good.
  ['object', (ours, theirs) => ['int embstr', 'listpack skiplist'].includes(`${String(ours)} ${String(theirs)}`)],
  ['xpending', sameButTimes],
  ['xinfo', sameButTimes],
])

/** Throws at the first request whose replies differ by more than they may. */
export function checkReplies(requests: readonly Request[], ours: readonly Buffer[], theirs: readonly Buffer[]): void {
  const queued: string[] = []
  for (const [i, request] of requests.entries()) {
    const name = nameOf(request)
    const lenient = name === 'exec' ? inTransaction([...queued]) : LENIENT.get(name)
    if (!agree(ours[i]!, theirs[i]!, lenient))
      assert.equal(ours[i]!.latin1Slice(), theirs[i]!.latin1Slice(), request.map(shown).join(' '))
    if (ours[i]!.equals(QUEUED)) queued.push(name)
    else if (name === 'exec' || name === 'discard') queued.length = 0
  }
}

const QUEUED = Buffer.from('+QUEUED\r\n')

const nameOf = (request: Request): string => String(request[0]).toLowerCase()

/** Whether two replies are the same, or as near as `lenient` wants them. */
function agree(ours: Buffer, theirs: Buffer, lenient: Leniency | undefined): boolean {
  if (ours.equals(theirs)) return true
  const [a, b] = [decode(ours, 0)?.value, decode(theirs, 0)?.value]
  return lenient !== undefined && a !== undefined && b !== undefined && lenient(a, b)
}

const sameValue: Leniency = (ours, theirs) => isDeepStrictEqual(plain(ours), plain(theirs))

/** The replies of EXEC: each as that of its own command. */
const inTransaction =
  (names: readonly string[]): Leniency =>
  (ours, theirs) =>
    Array.isArray(ours) &&
    Array.isArray(theirs) &&
    ours.length === theirs.length &&
    ours.every((value, i) => {
      const other = theirs[i] as Value
      return sameValue(value, other) || LENIENT.get(names[i]!)?.(value, other) === true
    })

const shown = (argument: Argument): string =>
  JSON.stringify(Buffer.isBuffer(argument) ? argument.latin1Slice() : argument)
