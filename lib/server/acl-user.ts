/** A user: who it is, by which passwords, and what it may do. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { CommandEntry, CommandTable } from '../commands/table.ts'
import type { Argv } from '../resp/argv.ts'
import { type Denial, type Refusal, Selector } from './acl-selector.ts'

/** SHA-256 in hexadecimal: what is kept of a password. */
const digest = (password: string): string => createHash('sha256').update(Buffer.from(password, 'latin1')).digest('hex')

const SEVERITY = { command: 1, key: 2, channel: 4 } as const

export class User {
  readonly name: string
  readonly #table: CommandTable
  enabled = false
  /** Any password will do. */
  nopass = false
  #sanitize: 'sanitize-payload' | 'skip-sanitize-payload' | undefined
  #passwords: string[] = []
  #root: Selector
  #others: Selector[] = []
  /** It may do everything: then nothing is checked. */
  unrestricted = false

  /** It may do nothing yet, but listen to all channels where that is the default. */
  constructor(name: string, table: CommandTable, allChannels: boolean) {
    this.name = name
    this.#table = table
    this.#root = new Selector(table)
    if (allChannels) this.#root.apply('allchannels')
  }

  /** Becomes as another user is, under its own name: those connected as this one notice. */
  become(other: User): void {
    this.enabled = other.enabled
    this.nopass = other.nopass
    this.#sanitize = other.#sanitize
    this.#passwords = [...other.#passwords]
    this.#root = other.#root
    this.#others = other.#others
    this.unrestricted = other.unrestricted
  }

  /** A copy that can be changed by itself; built from its rules. */
  copy(): User {
    const copy = new User(this.name, this.#table, false)
    for (const rule of this.rules()) copy.apply(rule, false)
    return copy
  }

  /** Applies a rule, those of a selector in parentheses being one; says why when it is none. */
  apply(rule: string, allChannels: boolean): Refusal | undefined {
    const refusal = this.#apply(rule, allChannels)
    this.unrestricted = [this.#root, ...this.#others].some((selector) => selector.unrestricted)
    return refusal
  }

  #apply(rule: string, allChannels: boolean): Refusal | undefined {
    const act = WORDS.get(rule.toLowerCase())
    if (act !== undefined) {
      act(this, allChannels)
      return undefined
    }
    const rest = rule.slice(1)
    if (rule.startsWith('>')) return this.#addPassword(digest(rest))
    if (rule.startsWith('#')) return isDigest(rest) ? this.#addPassword(rest) : 'badHash'
    if (rule.startsWith('<')) return this.#removePassword(digest(rest))
    if (rule.startsWith('!')) return isDigest(rest) ? this.#removePassword(rest) : 'badHash'
    if (rule.startsWith('(') && rule.endsWith(')')) return this.#addSelector(rule.slice(1, -1))
    return this.#root.apply(rule)
  }

  #addPassword(hash: string): undefined {
    if (!this.#passwords.includes(hash)) this.#passwords.push(hash)
    this.nopass = false
  }

  #removePassword(hash: string): Refusal | undefined {
    if (!this.#passwords.includes(hash)) return 'notThePassword'
    this.#passwords = this.#passwords.filter((one) => one !== hash)
    return undefined
  }

  #addSelector(rules: string): Refusal | undefined {
    const selector = new Selector(this.#table)
    for (const rule of rules.split(' ')) {
      const refusal = selector.apply(rule)
      if (refusal !== undefined) return refusal
    }
    this.#others.push(selector)
    return undefined
  }

  /** `resetpass`. */
  forgetPasswords(): void {
    this.#passwords = []
    this.nopass = false
  }

  setSanitize(word: 'sanitize-payload' | 'skip-sanitize-payload'): void {
    this.#sanitize = word
  }

  clearSelectors(): void {
    this.#others = []
  }

  /** `reset`: as a new user is, except that it says so. */
  reset(allChannels: boolean): void {
    for (const rule of [
      'resetpass',
      'resetkeys',
      'resetchannels',
      'off',
      'sanitize-payload',
      'clearselectors',
      '-@all',
    ])
      this.apply(rule, allChannels)
    if (allChannels) this.apply('allchannels', allChannels)
  }

  /** Whether one may log in as this user with a password (latin1). */
  accepts(password: string): boolean {
    if (!this.enabled) return false
    if (this.nopass) return true
    const given = Buffer.from(digest(password))
    return this.#passwords.some((hash) => timingSafeEqual(Buffer.from(hash), given))
  }

  get flags(): readonly string[] {
    const flags = [this.enabled ? 'on' : 'off']
    if (this.nopass) flags.push('nopass')
    if (this.#sanitize !== undefined) flags.push(this.#sanitize)
    return flags
  }

  get passwords(): readonly string[] {
    return this.#passwords
  }

  /** The user's own selector, then those in parentheses. */
  get selectors(): readonly [Selector, ...Selector[]] {
    return [this.#root, ...this.#others]
  }

  /** Rules that make a new user into this one. */
  rules(): readonly string[] {
    return [
      ...this.flags,
      ...this.#passwords.map((hash) => `#${hash}`),
      ...this.#root.line().split(' '),
      ...this.#others.map((selector) => `(${selector.line()})`),
    ]
  }

  /** What a request lacks: of several selectors, what the one that came closest lacks. */
  denies(entry: CommandEntry, argv: Argv): Denial | undefined {
    let worst: Denial | undefined
    for (const selector of this.selectors) {
      const denial = selector.denies(entry, argv)
      if (denial === undefined) return undefined
      const closer = worst === undefined ? 1 : SEVERITY[denial.reason] - SEVERITY[worst.reason]
      if (worst === undefined || closer > 0 || (closer === 0 && denial.at > worst.at)) worst = denial
    }
    return worst
  }

  allowsChannel(name: string, isPattern: boolean): boolean {
    return this.selectors.some((selector) => selector.allowsChannel(name, isPattern))
  }
}

const isDigest = (text: string): boolean => /^[0-9a-f]{64}$/.test(text)

/** Words that are rules by themselves. `allChannels`: acl-pubsub-default says so. */
const WORDS: ReadonlyMap<string, (user: User, allChannels: boolean) => void> = new Map<
  string,
  (user: User, allChannels: boolean) => void
>([
  [
    'on',
    (user) => {
      user.enabled = true
    },
  ],
  [
    'off',
    (user) => {
      user.enabled = false
    },
  ],
  [
    'nopass',
    (user) => {
      user.forgetPasswords()
      user.nopass = true
    },
  ],
  ['resetpass', (user) => user.forgetPasswords()],
  ['sanitize-payload', (user) => user.setSanitize('sanitize-payload')],
  ['skip-sanitize-payload', (user) => user.setSanitize('skip-sanitize-payload')],
  ['clearselectors', (user) => user.clearSelectors()],
  ['reset', (user, allChannels) => user.reset(allChannels)],
])
