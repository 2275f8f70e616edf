/** All families joined: lookup by the bytes of a name, and what follows from a row (full name, ACL categories). */
import type { Histogram } from '../base/histogram.ts'
import type { Argv } from '../resp/argv.ts'
import type { Command, Group } from './define.ts'

/** A command with its full name ("config|get") and what dispatch asks of it, worked out once. */
export interface CommandEntry {
  readonly command: Command
  /** The bytes it is called by: its own lowercase name, unless rename-command changed it. */
  readonly name: Buffer
  /** Lowercase; container and subcommand joined by `|`. */
  readonly fullName: string
  readonly parent: CommandEntry | undefined
  readonly subcommands: ReadonlyMap<string, CommandEntry> | undefined
  readonly arity: number
  /** The only key, always; 0 when it has several or none, or when they are to be looked for. */
  readonly onlyKey: number
  readonly isWrite: boolean
  readonly isReadonly: boolean
  /** While all is calm (see server/dispatch.ts) it can only be refused for its arity or its keys. */
  readonly isOrdinary: boolean
  /** Moreover it reads or changes data, and nothing else: what can be said of its client and of the server remains so. */
  readonly isPlain: boolean
  /** It takes so little time that reading the clock for it would show. */
  readonly isQuick: boolean
  readonly stats: CommandStats
}

/** For INFO commandstats. Microseconds. */
export interface CommandStats {
  calls: number
  micros: number
  rejected: number
  failed: number
  /** How long the calls took, in nanoseconds; undefined before the first. */
  latency: Histogram | undefined
}

/** Far more than there are commands. */
const PLACES = 2048

export class CommandTable {
  readonly entries: ReadonlyMap<string, CommandEntry>
  /** By a hash of length and first and last letter, or in the next free place: found without making a string. */
  readonly #places: (CommandEntry | undefined)[] = new Array(PLACES).fill(undefined)

  constructor(families: readonly (readonly Command[])[], renamed: ReadonlyMap<string, string> = new Map()) {
    const entries = new Map<string, CommandEntry>()
    for (const command of families.flat()) {
      const name = renamed.get(command.name) ?? command.name
      if (name === '') continue
      const entry = createEntry(command, undefined, name)
      entries.set(name, entry)
      let place = placeOf(entry.name, 0, entry.name.length)
      while (this.#places[place] !== undefined) place = (place + 1) & (PLACES - 1)
      this.#places[place] = entry
    }
    this.entries = entries
  }

  /** The command argument 0 names; for a container its subcommand when that is known. */
  find(argv: Argv): CommandEntry | undefined {
    const start = argv.starts[0]!
    const end = argv.ends[0]!
    for (let place = placeOf(argv.buffer, start, end); ; place = (place + 1) & (PLACES - 1)) {
      const entry = this.#places[place]
      if (entry === undefined) return undefined
      if (!sameIgnoringCase(argv.buffer, start, end, entry.name)) continue
      if (entry.subcommands === undefined || argv.count < 2) return entry
      return entry.subcommands.get(argv.word(1)) ?? entry
    }
  }

  /** Commands and their subcommands. */
  *all(): Generator<CommandEntry> {
    for (const entry of this.entries.values()) {
      yield entry
      yield* entry.subcommands?.values() ?? []
    }
  }

  /** By the lowercase full name it has in Redis, whatever it was renamed to. */
  named(fullName: string): CommandEntry | undefined {
    for (const entry of this.all()) if (entry.fullName === fullName) return entry
    return undefined
  }

  /** By lowercase full name: "get", "config|get". */
  get(fullName: string): CommandEntry | undefined {
    const [name, sub] = fullName.split('|', 2)
    const entry = this.entries.get(name!)
    return sub === undefined ? entry : entry?.subcommands?.get(sub)
  }

  /** Sets the counters of every command back. */
  resetStats(): void {
    for (const entry of this.entries.values()) resetStats(entry)
  }
}

function createEntry(command: Command, parent: CommandEntry | undefined, name = command.name): CommandEntry {
  const entry = {
    command,
    name: Buffer.from(name, 'latin1'),
    fullName: parent === undefined ? command.name : `${parent.fullName}|${command.name}`,
    parent,
    subcommands: undefined as Map<string, CommandEntry> | undefined,
    arity: command.arity,
    onlyKey: onlyKeyOf(command),
    isWrite: command.flags.includes('write'),
    isReadonly: command.flags.includes('readonly'),
    isOrdinary: command.run !== undefined && (ORDINARY.has(command.group) || command.flags.includes('asking')),
    isPlain: command.run !== undefined && PLAIN.has(command.group),
    isQuick: command.flags.includes('fast') || command.complexity === 'O(1)',
    stats: { calls: 0, micros: 0, rejected: 0, failed: 0, latency: undefined },
  }
  if (command.subcommands !== undefined)
    entry.subcommands = new Map(command.subcommands.map((sub) => [sub.name, createEntry(sub, entry)]))
  return entry
}

const PLAIN: ReadonlySet<Group> = new Set([
  'string',
  'list',
  'hash',
  'set',
  'sorted-set',
  'stream',
  'bitmap',
  'hyperloglog',
  'geo',
])
const ORDINARY: ReadonlySet<Group> = new Set([...PLAIN, 'generic', 'cluster'])

const onlyKeyOf = ({ keys }: Command): number =>
  keys?.find === undefined && keys?.first === keys?.last ? (keys?.first ?? 0) : 0

function resetStats({ stats, subcommands }: CommandEntry): void {
  stats.calls = 0
  stats.micros = 0
  stats.rejected = 0
  stats.failed = 0
  stats.latency = undefined
  for (const entry of subcommands?.values() ?? []) resetStats(entry)
}

function placeOf(bytes: Uint8Array, start: number, end: number): number {
  if (end === start) return 0
  return ((bytes[start]! | 32) * 31 + (bytes[end - 1]! | 32) * 7 + (end - start)) & (PLACES - 1)
}

/** Letters compare without case; `name` is lowercase. */
function sameIgnoringCase(bytes: Uint8Array, start: number, end: number, name: Uint8Array): boolean {
  if (end - start !== name.length) return false
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[start + i]!
    if (byte === name[i]) continue
    if (byte < 0x41 || byte > 0x5a || byte + 32 !== name[i]) return false
  }
  return true
}
