/** What a user may do, as one set of rules: which commands, on which keys, in which channels. A user has one of its own and any number
 *  of further ones in parentheses; a request needs one that allows all of it. */
import { globMatch } from '../base/glob.ts'
import { aclCategories, CATEGORIES } from '../commands/categories.ts'
import { hasKeys, keysWithFlags } from '../commands/key-specs.ts'
import type { CommandEntry, CommandTable } from '../commands/table.ts'
import type { Argv } from '../resp/argv.ts'

/** What a rule can be refused for, in the words of redis-server 7.0. */
export const REFUSALS = {
  unknown: 'Unknown command or category name in ACL',
  syntax: 'Syntax error',
  notThePassword: 'The password you are trying to remove from the user does not exist',
  badHash: 'The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters',
  afterAllKeys:
    "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns",
  afterAllChannels:
    "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels",
  firstArgument: 'Allowing first-arg of a subcommand is not supported',
} as const

export type Refusal = keyof typeof REFUSALS

/** What a request lacks, and which argument shows it. */
export interface Denial {
  readonly reason: 'command' | 'key' | 'channel'
  /** Index of the argument: the key or channel; 0 of a command. */
  readonly at: number
}

/** `~pattern` (both), `%R~pattern`, `%W~pattern`. */
interface KeyPattern {
  readonly pattern: string
  read: boolean
  write: boolean
}

/** Where the channels of a request are: they begin at argument 1. Those of `psubscribe` are patterns, to be allowed word for word. */
const CHANNELS: Readonly<Record<string, { readonly all: boolean; readonly patterns: boolean }>> = {
  publish: { all: false, patterns: false },
  spublish: { all: false, patterns: false },
  subscribe: { all: true, patterns: false },
  ssubscribe: { all: true, patterns: false },
  psubscribe: { all: true, patterns: true },
}

const WRITES = ['insert', 'delete', 'update']
const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1')

export class Selector {
  readonly #table: CommandTable
  #allKeys = false
  #allChannels = false
  #keys: KeyPattern[] = []
  #channels: string[] = []
  /** All of them, those to come included. */
  #allCommands = false
  #commands = new Set<CommandEntry>()
  /** `+select|0`: allowed with this first argument, of commands that are not allowed as a whole. */
  #firstArguments = new Map<CommandEntry, Set<string>>()
  /** The command rules as they were given, without those that later ones made void. */
  #rules = ['-@all']

  constructor(table: CommandTable) {
    this.#table = table
  }

  /** Everything is allowed. */
  get unrestricted(): boolean {
    return this.#allCommands && this.#allKeys && this.#allChannels
  }

  /** Applies a rule; says why when it is none. */
  apply(rule: string): Refusal | undefined {
    switch (rule.toLowerCase()) {
      case 'allkeys':
      case '~*':
        this.#allKeys = true
        this.#keys = []
        return undefined
      case 'resetkeys':
        this.#allKeys = false
        this.#keys = []
        return undefined
      case 'allchannels':
      case '&*':
        this.#allChannels = true
        this.#channels = []
        return undefined
      case 'resetchannels':
        this.#allChannels = false
        this.#channels = []
        return undefined
      case 'allcommands':
      case '+@all':
        return this.#setAllCommands(true)
      case 'nocommands':
      case '-@all':
        return this.#setAllCommands(false)
      case '':
        return undefined
      default:
        return this.#applyPrefixed(rule)
    }
  }

  #applyPrefixed(rule: string): Refusal | undefined {
    const [sign, rest] = [rule[0], rule.slice(1)]
    if (sign === '~') return this.#addKeyPattern(rest, true, true)
    if (sign === '%') return this.#addLimitedPattern(rest)
    if (sign === '&') return this.#addChannel(rest)
    if (sign !== '+' && sign !== '-') return 'syntax'
    if (rest.startsWith('@')) return this.#setCategory(rest.toLowerCase(), sign === '+')
    return sign === '+' && rest.includes('|') ? this.#allowPart(rest) : this.#setNamed(rest, sign === '+')
  }

  /** `%R~pattern`: each letter at most once; none allows nothing. */
  #addLimitedPattern(rest: string): Refusal | undefined {
    const [, letters = '', pattern = ''] = /^([^~]*)~?(.*)$/s.exec(rest) ?? []
    if (!/^(r?w?|wr)$/i.test(letters) || (letters === '' && rest !== '')) return 'syntax'
    return this.#addKeyPattern(pattern, /r/i.test(letters), /w/i.test(letters))
  }

  #addKeyPattern(pattern: string, read: boolean, write: boolean): Refusal | undefined {
    if (this.#allKeys) return 'afterAllKeys'
    if (/[\s\0]/.test(pattern)) return 'syntax'
    const old = this.#keys.find((one) => one.pattern === pattern)
    if (old === undefined) this.#keys.push({ pattern, read, write })
    else {
      old.read ||= read
      old.write ||= write
    }
    return undefined
  }

  #addChannel(pattern: string): Refusal | undefined {
    if (this.#allChannels) return 'afterAllChannels'
    if (/[\s\0]/.test(pattern)) return 'syntax'
    if (!this.#channels.includes(pattern)) this.#channels.push(pattern)
    return undefined
  }

  #setAllCommands(allowed: boolean): undefined {
    this.#allCommands = allowed
    this.#commands = new Set(allowed ? this.#table.all() : [])
    this.#firstArguments.clear()
    this.#rules = [allowed ? '+@all' : '-@all']
  }

  #setCategory(name: string, allowed: boolean): Refusal | undefined {
    const category = name.slice(1)
    if (!CATEGORIES.some((one) => one === category)) return 'unknown'
    for (const entry of this.#table.all()) if (aclCategories(entry).includes(category)) this.#set(entry, allowed)
    this.#addRule(name, allowed)
    return undefined
  }

  #setNamed(name: string, allowed: boolean): Refusal | undefined {
    const entry = this.#table.named(name.toLowerCase())
    if (entry === undefined) return 'unknown'
    this.#set(entry, allowed)
    this.#addRule(entry.fullName, allowed)
    return undefined
  }

  /** `+config|get`, a subcommand; or `+select|0`, a first argument. */
  #allowPart(rest: string): Refusal | undefined {
    const bar = rest.lastIndexOf('|')
    const container = this.#table.named(rest.slice(0, bar).toLowerCase())
    const part = rest.slice(bar + 1)
    if (container === undefined) return 'unknown'
    if (container.parent !== undefined) return 'firstArgument'
    if (part === '') return 'syntax'
    if (container.subcommands !== undefined) return this.#setNamed(rest, true)
    const words = this.#firstArguments.get(container) ?? new Set()
    this.#firstArguments.set(container, words.add(part.toLowerCase()))
    this.#addRule(rest.toLowerCase(), true)
    return undefined
  }

  /** A container's subcommands go with it. */
  #set(entry: CommandEntry, allowed: boolean): void {
    for (const one of [entry, ...(entry.subcommands?.values() ?? [])]) {
      if (allowed) this.#commands.add(one)
      else this.#commands.delete(one)
      this.#firstArguments.delete(one)
    }
    if (!allowed) this.#allCommands = false
  }

  /** The rule replaces an earlier one of the same name, and those of the command's subcommands. */
  #addRule(name: string, allowed: boolean): void {
    const others = this.#rules.filter((old) => old.slice(1) !== name && !old.startsWith(`${name}|`, 1))
    this.#rules = [...others, `${allowed ? '+' : '-'}${name}`]
  }

  /** The rules that make this selector, as ACL LIST and GETUSER show them. */
  describe(): { readonly keys: string; readonly channels: string; readonly commands: string } {
    const keys = this.#keys.map(
      ({ pattern, read, write }) => `${read && write ? '' : `%${read ? 'R' : 'W'}`}~${pattern}`,
    )
    return {
      keys: this.#allKeys ? '~*' : keys.join(' '),
      channels: this.#allChannels ? '&*' : this.#channels.map((pattern) => `&${pattern}`).join(' '),
      commands: this.#rules.join(' '),
    }
  }

  /** All of it in one line. */
  line(): string {
    const { keys, channels, commands } = this.describe()
    const reset = this.#allChannels ? [] : ['resetchannels']
    return [keys, ...reset, channels, commands].filter((part) => part !== '').join(' ')
  }

  /** What a request lacks; undefined when it may be carried out. */
  denies(entry: CommandEntry, argv: Argv): Denial | undefined {
    if (!this.#allowsCommand(entry, argv)) return { reason: 'command', at: 0 }
    if (!this.#allKeys && hasKeys(entry.command.keys))
      for (const { index, flags } of keysWithFlags(entry, argv)) {
        const write = flags.some((flag) => WRITES.includes(flag))
        if (!this.#allowsKey(argv.at(index), flags.includes('access'), write)) return { reason: 'key', at: index }
      }
    const channels = CHANNELS[entry.fullName]
    if (this.#allChannels || channels === undefined) return undefined
    for (let i = 1; i < (channels.all ? argv.count : 2); i++)
      if (!this.allowsChannel(argv.text(i), channels.patterns)) return { reason: 'channel', at: i }
    return undefined
  }

  #allowsCommand(entry: CommandEntry, argv: Argv): boolean {
    if (this.#allCommands || this.#commands.has(entry) || entry.command.flags.includes('no_auth')) return true
    const words = this.#firstArguments.get(entry)
    return words !== undefined && argv.count > 1 && words.has(argv.word(1))
  }

  #allowsKey(key: Buffer, read: boolean, write: boolean): boolean {
    return this.#keys.some(
      (one) => (one.read || !read) && (one.write || !write) && globMatch(bytesOf(one.pattern), key),
    )
  }

  /** A pattern (latin1) has to be allowed as such; a channel has to match one that is. */
  allowsChannel(name: string, isPattern: boolean): boolean {
    if (this.#allChannels) return true
    if (isPattern) return this.#channels.includes(name)
    return this.#channels.some((pattern) => globMatch(bytesOf(pattern), bytesOf(name)))
  }

  /** Every key may be read, whatever its name: SORT's BY and GET look at any. */
  get readsEverything(): boolean {
    return this.#allKeys || this.#keys.some(({ pattern, read }) => read && pattern === '*')
  }
}
