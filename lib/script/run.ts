/** One run of a script or function: whose it is, what it may do, what it has done. */
import type { CommandEntry } from '../commands/table.ts'
import type { Argv } from '../resp/argv.ts'
import type { Client } from '../server/client.ts'
import type { World } from './interpreter.ts'
import type { Place } from './lua.ts'

/** What a script declares of itself after `#!lua flags=`, or a function when it is registered. In the order of FUNCTION LIST. */
export const SCRIPT_FLAGS = ['no-writes', 'allow-oom', 'allow-stale', 'no-cluster', 'allow-cross-slot-keys'] as const
export type ScriptFlag = (typeof SCRIPT_FLAGS)[number]

export const isScriptFlag = (text: string): text is ScriptFlag => (SCRIPT_FLAGS as readonly string[]).includes(text)

/** Bits of `redis.set_repl`: to the append-only file, to replicas. */
export const REPLICATE_ALL = 3

export interface Run {
  readonly world: World
  /** What the log and errors call it: the SHA1 of a script, or the name of a function. */
  readonly name: string
  /** The command that began it. */
  readonly entry: CommandEntry
  /** The request, borrowed until the run is put aside. */
  request: Argv
  /** Who is answered. */
  readonly client: Client
  /** It may only read: called by a `_RO` command, or flagged no-writes. */
  readonly readOnly: boolean
  readonly allowOom: boolean
  readonly allowStale: boolean
  readonly allowCrossSlot: boolean
  /** Microseconds of the monotonic clock. */
  readonly startedMicros: number
  /** It has carried out a command that writes: it cannot be killed any more, for half of it would remain. */
  wrote: boolean
  /** `redis.setresp(3)` */
  resp3: boolean
  /** `redis.set_repl` */
  replicate: number
  /** The slot of the keys it has used, in a cluster; -1 before the first. */
  slot: number
  /** Where it stood when it was last put aside. */
  place: Place | undefined
}
