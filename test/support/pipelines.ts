/** Random pipelines of all commands whose replies two servers can be compared by. */
import fc from 'fast-check'
import { FAMILIES } from '../../lib/commands/families.ts'
import { type CommandEntry, CommandTable } from '../../lib/commands/table.ts'
import { isNewer } from '../commands/command-differences.ts'
import { requestOf } from './grammar.ts'
import type { Request } from './replies.ts'

/** How many requests a pipeline has on average. */
export const PIPELINE = 100

/** Left out of random pipelines, and why. */
const LEFT_OUT: readonly { readonly name: RegExp; readonly reason: string }[] = [
  {
    name: /^(spop|srandmember|hrandfield|zrandmember|randomkey)$/,
    reason: 'draws at random; compared by shape in the specs',
  },
  {
    name: /^(blpop|brpop|brpoplpush|blmove|blmpop|bzpopmin|bzpopmax|bzmpop|wait)$/,
    reason: 'would hold up the pipeline',
  },
  { name: /^(xread|xreadgroup)$/, reason: 'BLOCK would hold up the pipeline' },
  { name: /^(object\|idletime|object\|freq|touch)$/, reason: 'clocks of two processes' },
  { name: /^(keys|[hsz]?scan)$/, reason: 'cursors and order are our own; compared as sets in the specs' },
  { name: /^(xpending|xinfo.*|xautoclaim|xclaim)$/, reason: 'idle times; compared without them in the specs' },
  { name: /^(ttl|pttl)$/, reason: 'clocks of two processes; compared within a tolerance in the specs' },
  { name: /^(dump|memory.*)$/, reason: 'the bytes of large values and their memory are our own' },
  { name: /^object\|refcount$/, reason: 'a value just given in a transaction counts as shared there' },
  { name: /lex(count)?$/, reason: 'defined among equal scores alone; compared so in the specs' },
  { name: /^pfdebug$/, reason: 'internals, in texts of a C string' },
  {
    name: /^sort/,
    reason: 'a number out of range in an earlier request counts against it there (errno); compared in its spec',
  },
  { name: /^migrate$/, reason: 'needs another server' },
  { name: /^pfselftest$/, reason: 'takes a while, and is about no key' },
]
/** Families of commands about data. */
export const GROUPS: ReadonlySet<string> = new Set([
  'string',
  'bitmap',
  'hash',
  'list',
  'set',
  'sorted-set',
  'stream',
  'hyperloglog',
  'geo',
  'generic',
])

export const table = new CommandTable(FAMILIES)

/** What is drawn from. */
export const entries: readonly CommandEntry[] = [...table.entries.values()]
  .flatMap((entry) => [...(entry.subcommands?.values() ?? [entry])])
  .filter(({ command, fullName }) => {
    const isLeftOut = LEFT_OUT.some(({ name }) => name.test(fullName))
    return GROUPS.has(command.group) && command.run !== undefined && !isLeftOut && !isNewer(command)
  })

/** Options left out of random pipelines, and why. */
const OPTIONS_LEFT_OUT: readonly {
  readonly name: RegExp
  readonly options: readonly string[]
  readonly reason: string
}[] = [
  {
    name: /^bitfield$/,
    options: ['FAIL'],
    reason: 'a string that grew although nothing was set is not told to replicas there',
  },
  {
    name: /^set$/,
    options: ['4000000000'],
    reason:
      'long past in milliseconds; a STORE with an empty result deletes it there unseen, and replicas are told the STORE',
  },
  { name: /^zrange/, options: ['BYLEX'], reason: 'as ZRANGEBYLEX' },
  { name: /store$/, options: ['STOREDIST'], reason: 'the last bit is that of the C library' },
  { name: /^georadius/, options: ['STOREDIST'], reason: 'the last bit is that of the C library' },
  { name: /^p?expire$/, options: ['GT', 'LT'], reason: 'clocks of two processes' },
]
/** Whether a request has none of the options that are left out. */
export const isComparable = (request: Request): boolean =>
  !OPTIONS_LEFT_OUT.some(
    ({ name, options }) => name.test(String(request[0])) && options.some((option) => request.includes(option)),
  )

/** One in twelve requests starts or ends a transaction. */
const someRequest: fc.Arbitrary<Request> = fc.oneof(
  { weight: 22, arbitrary: fc.oneof(...entries.map(requestOf)).filter(isComparable) },
  { weight: 1, arbitrary: fc.constant<Request>(['MULTI']) },
  { weight: 2, arbitrary: fc.constant<Request>(['EXEC']) },
)

export const somePipeline: fc.Arbitrary<Request[]> = fc.array(someRequest, {
  minLength: 1,
  maxLength: 2 * PIPELINE,
  size: 'max',
})
