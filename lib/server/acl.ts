/** Access control: the users there are, who a client is, and whether it may do what it asks for. */
import type { CommandEntry } from '../commands/table.ts'
import { ClientError, fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import { AclLog } from './acl-log.ts'
import { type Denial, REFUSALS, type Refusal } from './acl-selector.ts'
import { User } from './acl-user.ts'
import type { Call } from './call.ts'
import type { Client } from './client.ts'
import { clientLine } from './client-line.ts'
import type { Server } from './server.ts'

/** Users that were declared at the start, in a file or by directives, and cannot be. The message says why. */
export class AclError extends Error {}

const DEFAULT = 'default'

const FORBIDDEN = {
  command: (entry: CommandEntry) => `run the '${entry.fullName}' command`,
  key: () => 'access one of the keys used as arguments',
  channel: () => 'access one of the channels used as arguments',
} as const

const REVOKED = {
  command: 'no permission to execute the command or subcommand',
  key: 'no permission to touch the specified keys',
  channel: 'no permission to access one of the channels used as arguments',
} as const

const SCRIPT_REFUSALS = {
  command: "can't run this command or subcommand",
  key: "can't access at least one of the keys mentioned in the command arguments",
  channel: "can't publish to the channel mentioned in the command",
} as const

export class Acl {
  readonly #server: Server
  readonly #users = new Map<string, User>()
  readonly log = new AclLog()
  /** As whom clients are connected until they say who they are. */
  readonly defaultUser: User

  constructor(server: Server) {
    this.#server = server
    const { config } = server
    this.defaultUser = this.#newUser(DEFAULT)
    for (const rule of ['on', 'nopass', 'allkeys', 'allchannels', 'allcommands']) this.defaultUser.apply(rule, false)
    this.#users.set(DEFAULT, this.defaultUser)
    this.#requirePassword(config.values.requirepass)
    config.onChange(['requirepass'], ({ requirepass }) => this.#requirePassword(requirepass))
    config.onChange(['acllog-max-len'], ({ acllogMaxLen }) => void this.log.trim(acllogMaxLen))
  }

  /** The users that the configuration declares. Throws AclError. */
  declare(): void {
    const { config, log } = this.#server
    for (const words of config.users) {
      const [name, ...rules] = words.map((word) => Buffer.from(word).latin1Slice())
      const merged = mergeSelectors(rules)
      if (typeof merged === 'string')
        throw new AclError(`Unmatched parenthesis in acl selector starting at '${merged}'.`)
      const refused = this.#change(name!, merged)
      if (refused === undefined) continue
      log.warning(`Error loading ACL rule '${refused.rule}' for the user named '${name}': ${REFUSALS[refused.why]}`)
      throw new AclError('Critical error while loading ACLs. Exiting.')
    }
    if (config.values.aclfile === '') return
    const refusal = this.load()
    if (refusal !== undefined) throw new AclError(`Aborting Redis startup because of ACL errors: ${refusal}`)
  }

  user(name: string): User | undefined {
    return this.#users.get(name)
  }

  /** All users, by name. */
  get users(): readonly User[] {
    return [...this.#users.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** What stands after the word `user` in a line for each of them. */
  get lines(): readonly string[] {
    return this.users.map((user) => [user.name, ...user.rules()].join(' '))
  }

  /** Nobody has to log in. */
  get isOpen(): boolean {
    return this.defaultUser.enabled && this.defaultUser.nopass
  }

  /** A client that says nothing about who it is. */
  welcome(client: Client): void {
    client.user = this.defaultUser
    client.authenticated = this.isOpen
    client.limits.unauthenticated = !this.isOpen
  }

  /** Logs the calling client in; false when it must not. Name and password are latin1. */
  authenticate({ client, entry, argv }: Call, name: string, password: string): boolean {
    const user = this.#users.get(name)
    if (user?.accepts(password) !== true) {
      this.#note(client, entry, 'auth', argv.text(0), name)
      return false
    }
    client.user = user
    client.authenticated = true
    client.limits.unauthenticated = false
    return true
  }

  /** Why a client must not make a request; it is logged. Undefined when it may. */
  refuses(client: Client, entry: CommandEntry, argv: Argv): ClientError | undefined {
    const denial = this.#denies(client, entry, argv)
    if (denial === undefined) return undefined
    return new ClientError(`NOPERM this user has no permissions to ${FORBIDDEN[denial.reason](entry)}`)
  }

  /** The same for a command that was allowed when it was queued. */
  revokes(client: Client, entry: CommandEntry, argv: Argv): ClientError | undefined {
    const denial = this.#denies(client, entry, argv)
    if (denial === undefined) return undefined
    return new ClientError(
      `NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: ${REVOKED[denial.reason]}`,
    )
  }

  /** Why a script that the client runs must not make a request; it is logged. */
  refusesScript(client: Client, entry: CommandEntry, argv: Argv): ClientError | undefined {
    const denial = this.#denies(client, entry, argv, 'lua')
    return denial && new ClientError(`ERR The user executing the script ${SCRIPT_REFUSALS[denial.reason]}`)
  }

  /** Whether a client may make a request; it is not logged. */
  allows({ user }: Client, entry: CommandEntry, argv: Argv): boolean {
    return user === undefined || user.unrestricted || user.denies(entry, argv) === undefined
  }

  /** Whether the calling client may make its request and read any key besides. */
  readsEverything({ client: { user }, entry, argv }: Call): boolean {
    if (user === undefined || user.unrestricted) return true
    return user.selectors.some((selector) => selector.readsEverything && selector.denies(entry, argv) === undefined)
  }

  #denies(client: Client, entry: CommandEntry, argv: Argv, context?: 'lua'): Denial | undefined {
    const { user } = client
    if (user === undefined || user.unrestricted) return undefined
    const denial = user.denies(entry, argv)
    if (denial === undefined) return undefined
    const object = denial.reason === 'command' ? entry.fullName : argv.text(denial.at)
    this.#note(client, entry, denial.reason, object, user.name, context)
    return denial
  }

  #note(
    client: Client,
    entry: CommandEntry,
    reason: Denial['reason'] | 'auth',
    object: string,
    username: string,
    context: 'toplevel' | 'multi' | 'lua' = client.multi === undefined ? 'toplevel' : 'multi',
  ): void {
    client.lastCommand = entry.fullName
    const clientInfo = clientLine(this.#server, client)
    const { now, config } = this.#server
    this.log.add({ reason, context, object, username, clientInfo }, now, config.values.acllogMaxLen)
  }

  /** ACL SETUSER: all of the rules or none of them. Throws a ClientError. */
  setUser(name: string, rules: readonly string[]): void {
    const merged = mergeSelectors(rules)
    if (typeof merged === 'string') throw fail(`Unmatched parenthesis in acl selector starting at '${merged}'.`)
    const refused = this.#change(name, merged)
    if (refused !== undefined) throw fail(`Error in ACL SETUSER modifier '${refused.rule}': ${REFUSALS[refused.why]}`)
  }

  #newUser(name: string): User {
    const allChannels = this.#server.config.values.aclPubsubDefault === 'allchannels'
    return new User(name, this.#server.commands, allChannels)
  }

  #change(name: string, rules: readonly string[]): { readonly rule: string; readonly why: Refusal } | undefined {
    const old = this.#users.get(name)
    const changed = old?.copy() ?? this.#newUser(name)
    for (const rule of rules) {
      const why = changed.apply(rule, this.#server.config.values.aclPubsubDefault === 'allchannels')
      if (why !== undefined) return { rule, why }
    }
    this.#put(changed)
    return undefined
  }

  /** Who is connected as a user that is there already goes on as it now is; who listens where it must no longer is cut off. */
  #put(changed: User): void {
    const old = this.#users.get(changed.name)
    if (old === undefined) {
      this.#users.set(changed.name, changed)
      return
    }
    old.become(changed)
    for (const client of this.#server.clients.values())
      if (client.user === old && !mayListen(client, old)) this.#server.cutOff(client)
  }

  /** ACL DELUSER: false when there was no such user. Its clients are cut off. */
  delete(name: string): boolean {
    const user = this.#users.get(name)
    if (user === undefined) return false
    this.#users.delete(name)
    this.#cutOffClientsOf(user)
    return true
  }

  #cutOffClientsOf(user: User): void {
    for (const client of this.#server.clients.values()) {
      if (client.user !== user) continue
      client.user = this.defaultUser
      client.authenticated = false
      this.#server.cutOff(client)
    }
  }

  /** requirepass is the default user's password. */
  #requirePassword(password: string): undefined {
    this.defaultUser.apply(password === '' ? 'nopass' : 'resetpass', false)
    if (password !== '') this.defaultUser.apply(`>${Buffer.from(password).latin1Slice()}`, false)
  }

  /** ACL LOAD: the users in the file are those there are, or, when it cannot be read, nothing changes. Returns why not. */
  load(): string | undefined {
    const { config } = this.#server
    const path = config.resolve(config.values.aclfile)
    const text = config.readText(path)
    if ('refusal' in text) return `Error loading ACLs, opening file '${path}': ${text.refusal}`
    const loaded = new Map<string, User>()
    const errors: string[] = []
    for (const [i, line] of text.text.split('\n').entries()) {
      const words = line.trim().split(/ +/)
      if (words[0] === '') continue
      const error = this.#loadLine(words, loaded)
      if (error !== undefined) errors.push(`${path}:${i + 1}${error}`)
    }
    if (errors.length > 0)
      return `${errors.join('')}WARNING: ACL errors detected, no change to the previously active ACL rules was performed`
    for (const [name, user] of this.#users)
      if (name !== DEFAULT && !loaded.has(name)) {
        this.#users.delete(name)
        this.#cutOffClientsOf(user)
      }
    for (const user of loaded.values()) this.#put(user)
    return undefined
  }

  /** What is wrong with a line; otherwise its user is among the loaded. */
  #loadLine([first, name, ...rules]: readonly string[], loaded: Map<string, User>): string | undefined {
    if (first !== 'user' || name === undefined) return ' should start with user keyword followed by the username. '
    if (loaded.has(name)) return `: Duplicate user '${name}' found. `
    const merged = mergeSelectors(rules)
    if (typeof merged === 'string') return ': Unmatched parenthesis in selector definition.'
    const user = this.#newUser(name)
    for (const rule of merged) {
      const why = user.apply(rule, false)
      if (why !== undefined)
        return `: ${why === 'unknown' ? `Error in applying operation '${rule}': ` : ''}${REFUSALS[why]}. `
    }
    loaded.set(name, user)
    return undefined
  }

  /** ACL SAVE; returns why not. */
  save(): string | undefined {
    const { config } = this.#server
    return config.replaceText(
      config.resolve(config.values.aclfile),
      this.lines.map((line) => `user ${line}\n`).join(''),
    )
  }
}

/** Selectors that were split at their blanks become one rule each; a text is where one begins that does not end. */
function mergeSelectors(rules: readonly string[]): readonly string[] | string {
  const merged: string[] = []
  let open: string | undefined
  for (const rule of rules) {
    const begins = open === undefined && rule.startsWith('(')
    const text: string = open === undefined ? rule : `${open} ${rule}`
    if ((begins || open !== undefined) && !rule.endsWith(')')) open = text
    else {
      merged.push(text)
      open = undefined
    }
  }
  return open?.split(' ')[0] ?? merged
}

const mayListen = (client: Client, user: User): boolean =>
  [...client.channels, ...client.shardChannels].every((name) => user.allowsChannel(name, false)) &&
  [...client.patterns].every((name) => user.allowsChannel(name, true))
