/** What a command is: one row of a family's table. COMMAND, COMMAND DOCS, routing and dispatch all read the same row. */
import { parseInteger } from '../base/bytes.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'

/** Redis's command flags, as COMMAND INFO prints them. `write` decides about replicas, propagation and routing. */
export type CommandFlag =
  | 'write'
  | 'readonly'
  | 'denyoom'
  | 'admin'
  | 'pubsub'
  | 'noscript'
  | 'blocking'
  | 'loading'
  | 'stale'
  | 'skip_monitor'
  | 'skip_slowlog'
  | 'asking'
  | 'fast'
  | 'no_auth'
  | 'may_replicate'
  | 'no_async_loading'
  | 'no_multi'
  | 'no_mandatory_keys'
  | 'movablekeys'
  | 'allow_busy'

export type Group =
  | 'string'
  | 'generic'
  | 'list'
  | 'hash'
  | 'set'
  | 'sorted-set'
  | 'stream'
  | 'bitmap'
  | 'hyperloglog'
  | 'geo'
  | 'pubsub'
  | 'transactions'
  | 'scripting'
  | 'connection'
  | 'server'
  | 'cluster'

/** Where the keys stand: first index, last index (negative counts from the end), step; and for key specifications what is
 *  done to them (RW RO OW RM and access update insert delete). `find` answers for keys whose place depends on the
 *  arguments (numkeys ...); then first/last/step are what COMMAND INFO prints. */
export interface KeyPositions {
  readonly first: number
  readonly last: number
  readonly step: number
  readonly flags?: readonly string[]
  /** Argument indexes of the keys. */
  readonly find?: (argv: Argv) => readonly number[]
  /** They are shard channels: routed like keys, but not keys. */
  readonly channels?: boolean
  /** The note of the one key specification that follows from the places above. */
  readonly notes?: string
  /** The key specifications, where they are not that one. */
  readonly specs?: readonly KeySpec[]
}

/** Where the keys of a specification begin: an argument index, or after a keyword that is searched from argument `from` on
 *  (negative: backwards, counted from the end). */
export type KeysBegin = number | { readonly keyword: string; readonly from: number }

/** One key specification of COMMAND INFO. */
export type KeySpec = {
  readonly flags: readonly string[]
  readonly notes?: string
} & (
  | {
      readonly begin: KeysBegin
      /** The last key, relative to the first; negative counts from the end of the request. */
      readonly last: number
      readonly step: number
      /** Of what lies between the first and `last` = -1, only the first half (2), third (3) ... are keys. */
      readonly limit?: number
    }
  /** The argument it begins with is the number of the keys, which follow. */
  | { readonly begin: KeysBegin; readonly counted: true }
  /** Not to be known from the arguments alone. */
  | { readonly begin: 'unknown' }
)

/** One argument in COMMAND DOCS. */
export interface ArgumentDoc {
  readonly name: string
  readonly type: 'string' | 'integer' | 'double' | 'key' | 'pattern' | 'unix-time' | 'pure-token' | 'oneof' | 'block'
  readonly token?: string
  /** The version it came with, when the command is older. */
  readonly since?: string
  /** The version from which it is better not used. */
  readonly deprecated?: string
  readonly optional?: boolean
  readonly multiple?: boolean
  /** The token is repeated with each of them. */
  readonly multipleToken?: boolean
  readonly keySpec?: number
  readonly arguments?: readonly ArgumentDoc[]
}

export interface Command {
  /** Lowercase; a subcommand's own word ("get" of "config|get"). */
  readonly name: string
  /** Words including the name (and, for a subcommand, its container's); negative: at least that many. */
  readonly arity: number
  readonly flags: readonly CommandFlag[]
  readonly keys?: KeyPositions
  readonly group: Group
  readonly since: string
  readonly summary: string
  readonly complexity?: string
  /** Command tips of COMMAND INFO: "nondeterministic_output", "request_policy:all_shards" ... */
  readonly tips?: readonly string[]
  /** ACL categories beyond those that follow from flags and group. */
  readonly categories?: readonly string[]
  readonly arguments?: readonly ArgumentDoc[]
  /** COMMAND DOCS: superseded since that version, and by what. */
  readonly deprecated?: { readonly since: string; readonly replacedBy: string }
  /** COMMAND DOCS: for servers among themselves (doc flag `syscmd`). */
  readonly internal?: boolean
  readonly subcommands?: readonly Command[]
  /** Check everything, then change, then reply; throw a ClientError to refuse. Absent for pure containers. */
  readonly run?: (call: Call, argv: Argv) => void
}

/** Types a family's rows. */
export const family = (...commands: readonly Command[]): readonly Command[] => commands

/** The most common key place: argument 1. */
export const firstKey = (...flags: string[]): KeyPositions => ({ first: 1, last: 1, step: 1, flags })

/** Every argument from 1 on. */
export const allKeys = (...flags: string[]): KeyPositions => ({ first: 1, last: -1, step: 1, flags })

/** Two keys, each with a key specification of its own. `last` -1: the second is only the first of many. */
export const twoKeys = (first: readonly string[], second: readonly string[], last: 2 | -1 = 2): KeyPositions => ({
  first: 1,
  last,
  step: 1,
  specs: [
    { flags: first, begin: 1, last: 0, step: 1 },
    { flags: second, begin: 2, last: last === 2 ? 0 : -1, step: 1 },
  ],
})

/** The indexes of the keys that follow their number, argument `at`; none when it is no number or there are too few. */
export function keysAfterCount(argv: Argv, at: number): readonly number[] {
  const count = at < argv.count ? parseInteger(argv.buffer, argv.starts[at], argv.ends[at]) : undefined
  if (count === undefined || count < 1 || count >= argv.count - at) return []
  return Array.from({ length: count }, (_, i) => at + 1 + i)
}

/** Nothing but keys that follow their number, argument `at`. */
export const countedKeys = (at: number, ...flags: string[]): KeyPositions => ({
  first: 0,
  last: 0,
  step: 0,
  find: (argv) => keysAfterCount(argv, at),
  specs: [{ flags, begin: at, counted: true }],
})
