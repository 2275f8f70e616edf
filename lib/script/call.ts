/** `redis.call` and `redis.pcall`: a command out of a script. The arguments are written as a request, the command runs like any other
 *  under a client of the scripts' own, and its reply becomes a Lua value. */
import { assert } from '../base/assert.ts'
import { formatDouble } from '../base/double.ts'
import { keyIndexes } from '../commands/keys.ts'
import type { CommandEntry } from '../commands/table.ts'
import {
  CLUSTER_DOWN,
  CLUSTER_DOWN_READS,
  type ClientError,
  MASTER_DOWN,
  NO_REPLICAS,
  OUT_OF_MEMORY,
  READ_ONLY,
} from '../errors.ts'
import { Argv } from '../resp/argv.ts'
import type { Client } from '../server/client.ts'
import { execute } from '../server/dispatch.ts'
import { route } from '../server/route.ts'
import type { Server } from '../server/server.ts'
import { type Lua, NUMBER, STRING } from './lua.ts'
import type { Pointer } from './lua-module.ts'
import { REPLICATE_ALL, type Run } from './run.ts'
import { pushError, pushReply } from './to-lua.ts'

const CHUNK = 64 * 1024
/** A native copy costs a few hundred nanoseconds to call: below this length a loop is faster. */
const SHORT = 96
const STAR = 0x2a
const DOLLAR = 0x24

const NO_ARGUMENTS = 'Please specify at least one argument for this redis lib call'
const BAD_ARGUMENT = 'Lua redis lib command arguments must be strings or integers'
const UNKNOWN = 'Unknown Redis command called from script'
const WRONG_ARITY = 'Wrong number of args calling Redis command from script'
const NOT_FROM_SCRIPT = 'This Redis command is not allowed from script'
const READ_ONLY_SCRIPT = 'Write commands are not allowed from read-only scripts.'

/** A script that names its keys waits until they are gone; this one has not, and cannot wait now. */
const ON_ITS_WAY = 'Script attempted to access an undeclared key that is being migrated'
const NOT_LOCAL = 'access a non local key in a cluster node'
/** What a script is told where a client would be sent elsewhere, for reasons that are not the key's place. */
const IN_A_SCRIPT: ReadonlyMap<ClientError, string> = new Map([
  [CLUSTER_DOWN, 'execute a command while the cluster is down'],
  [CLUSTER_DOWN_READS, 'execute a write command while the cluster is down and readonly'],
])

const scratch: number[] = []

export class ScriptCalls {
  readonly #server: Server
  /** As whom the commands of scripts run. */
  readonly client: Client
  readonly #argv = new Argv()
  #buffer = Buffer.allocUnsafeSlow(CHUNK)
  #data = new DataView(this.#buffer.buffer)
  #taken: Buffer[] = []
  readonly #take = (bytes: Buffer): boolean => {
    this.#taken.push(bytes)
    return true
  }
  /** Where the next request begins. What a write leaves behind stays: the stream borrows the request's bytes. */
  #start = 0
  #at = 0

  constructor(server: Server, client: Client) {
    this.#server = server
    this.client = client
  }

  /** Carries out the command whose words are the arguments on Lua's stack, and pushes what it answers. `raises`: an error ends the
   *  script, instead of being answered as a table. */
  call(lua: Lua, L: Pointer, run: Run, raises: boolean): number {
    const count = lua.api.lua_gettop(L)
    const refusal = count === 0 ? NO_ARGUMENTS : this.#write(lua, L, count) ? undefined : BAD_ARGUMENT
    if (refusal !== undefined) return this.#fail(lua, L, `ERR ${refusal}`, false, raises)
    const entry = this.#server.commands.find(this.#argv)
    const error = this.#check(run, entry, count)
    if (error !== undefined) return this.#fail(lua, L, error, this.#counted(entry, error), raises)
    this.#execute(run, entry!)
    const reply = this.#takeReply()
    pushReply(lua, L, reply)
    if (raises && reply[0] === MINUS) {
      lua.api.lua_error(L)
    }
    return 1
  }

  /** Whether the words name a command that the script's user may call. Throws a ClientError when they name none. */
  mayCall(lua: Lua, L: Pointer, run: Run): boolean | string {
    const count = lua.api.lua_gettop(L)
    if (count === 0) return NO_ARGUMENTS
    if (!this.#write(lua, L, count)) return BAD_ARGUMENT
    const entry = this.#server.commands.find(this.#argv)
    if (entry?.command.run === undefined) return 'Invalid command passed to redis.acl_check_cmd()'
    return this.#server.acl.allows(run.client, entry, this.#argv)
  }

  #fail(lua: Lua, L: Pointer, error: string, counted: boolean, raises: boolean): number {
    pushError(lua, L, error, counted)
    if (raises) lua.api.lua_error(L)
    return 1
  }

  /** A refused command counts as one, and so does its error. */
  #counted(entry: CommandEntry | undefined, error: string): boolean {
    if (entry !== undefined) entry.stats.rejected++
    this.#server.stats.countError(error)
    return true
  }

  /** The checks of redis-server's scripts, in their order. Returns the error with its code. */
  #check(run: Run, entry: CommandEntry | undefined, count: number): string | undefined {
    if (entry?.command.run === undefined)
      return entry === undefined || count > 1 ? `ERR ${UNKNOWN}` : `ERR ${WRONG_ARITY}`
    const { arity, flags } = entry.command
    if (arity > 0 ? count !== arity : count < -arity) return `ERR ${WRONG_ARITY}`
    if (flags.includes('noscript')) return `ERR ${NOT_FROM_SCRIPT}`
    const server = this.#server
    if (run.client.primary) return undefined
    if (isStale(server) && !flags.includes('stale') && !run.allowStale) return MASTER_DOWN.text
    const denied = server.refusedByOwner(run.client, entry) ?? server.acl.refusesScript(run.client, entry, this.#argv)
    if (denied !== undefined) return denied.text
    if (entry.isWrite) {
      if (run.readOnly) return `ERR ${READ_ONLY_SCRIPT}`
      // What it has begun it may end: a write that fails for no reason of its own would leave half of it.
      const error = run.wrote ? undefined : refusedWrite(server)
      if (error !== undefined) return error
    }
    // Nothing is evicted in the middle of a script: what is checked is whether memory was short when it began to write.
    if (!run.wrote && !run.allowOom && flags.includes('denyoom') && server.eviction.isShort) return OUT_OF_MEMORY.text
    if (server.migrating.any && server.migrating.covers(entry, this.#argv)) return `TRYAGAIN ${ON_ITS_WAY}`
    return entry.command.keys === undefined ? undefined : this.#route(run, entry)
  }

  /** In a cluster a script stays with keys that are served here. */
  #route(run: Run, entry: CommandEntry): string | undefined {
    const { cluster, keyspace } = this.#server
    if (cluster === undefined) return undefined
    const argv = this.#argv
    const keys = keyIndexes(entry, argv, scratch)
    if (keys === 0) return undefined
    const elsewhere = route(cluster.view, keyspace.databases[0]!, run.client, entry, argv)
    if (elsewhere !== undefined) return `ERR Script attempted to ${IN_A_SCRIPT.get(elsewhere) ?? NOT_LOCAL}`
    const slot = argv.key(scratch[0]!).slot()
    if (!run.allowCrossSlot && run.slot >= 0 && run.slot !== slot)
      return 'ERR Script attempted to access keys that do not hash to the same slot'
    run.slot = slot
    return undefined
  }

  #execute(run: Run, entry: CommandEntry): void {
    const server = this.#server
    const { client } = this
    client.reply.resp3 = run.resp3
    if (entry.isWrite) run.wrote = true
    const { propagation } = server
    propagation.muted = (run.replicate & REPLICATE_ALL) === 0
    const { dirty } = server.keyspace
    execute(server, client, entry, this.#argv)
    propagation.muted = false
    if (server.keyspace.dirty !== dirty || entry.command.flags.includes('may_replicate')) this.#start = this.#at
  }

  #takeReply(): Buffer {
    this.client.reply.take(this.#take)
    const parts = this.#taken
    const [first] = parts
    assert(first !== undefined, 'a command did not answer')
    this.#taken = []
    return parts.length === 1 ? first : Buffer.concat(parts)
  }

  /** Writes the words as a request; false when one is neither a string nor a number. */
  #write(lua: Lua, L: Pointer, count: number): boolean {
    const { api } = lua
    const argv = this.#argv
    argv.reserve(count)
    this.#at = this.#start
    this.#ensure(MAX_HEAD)
    this.#head(STAR, count)
    for (let i = 1; i <= count; i++) {
      const type = api.lua_type(L, i)
      if (type === STRING) {
        const at = lua.string(L, i)
        this.#word(i - 1, lua.bytes, at, at + lua.stringLength)
      } else if (type === NUMBER) {
        const text = Buffer.from(formatNumber(api.lua_tonumber(L, i)), 'latin1')
        this.#word(i - 1, text, 0, text.length)
      } else return false
    }
    argv.buffer = this.#buffer
    argv.data = this.#data
    argv.count = count
    argv.rawStart = this.#start
    argv.rawEnd = this.#at
    argv.renew()
    return true
  }

  #word(i: number, from: Buffer, start: number, end: number): void {
    const length = end - start
    this.#ensure(length + MAX_HEAD + 2)
    this.#head(DOLLAR, length)
    const buffer = this.#buffer
    let at = this.#at
    this.#argv.starts[i] = at
    if (length > SHORT) {
      buffer.set(from.subarray(start, end), at)
      at += length
    } else for (let j = start; j < end; j++) buffer[at++] = from[j]!
    this.#argv.ends[i] = at
    buffer[at] = 0x0d
    buffer[at + 1] = 0x0a
    this.#at = at + 2
  }

  /** A mark and a number. */
  #head(mark: number, value: number): void {
    const buffer = this.#buffer
    let at = this.#at
    buffer[at++] = mark
    if (value < 10) buffer[at++] = 0x30 + value
    else for (const digit of String(value)) buffer[at++] = digit.charCodeAt(0)
    buffer[at] = 0x0d
    buffer[at + 1] = 0x0a
    this.#at = at + 2
  }

  /** Makes room. What was written of this request moves to a new buffer; the old one belongs to whoever still refers to it. */
  #ensure(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    const written = this.#at - this.#start
    const buffer = Buffer.allocUnsafeSlow(Math.max(CHUNK, (written + bytes) * 2))
    this.#buffer.copy(buffer, 0, this.#start, this.#at)
    const { starts, ends } = this.#argv
    for (let i = 0; i < starts.length; i++) {
      starts[i]! -= this.#start
      ends[i]! -= this.#start
    }
    this.#buffer = buffer
    this.#data = new DataView(buffer.buffer)
    this.#start = 0
    this.#at = written
  }
}

const MINUS = 0x2d
/** `$` and a length, CR LF. */
const MAX_HEAD = 16

/** As C prints it with `%.17g`. */
const formatNumber = (value: number): string =>
  Number.isNaN(value) ? (isNegativeNaN(value) ? '-nan' : 'nan') : formatDouble(value)

const bits = new DataView(new ArrayBuffer(8))

function isNegativeNaN(value: number): boolean {
  bits.setFloat64(0, value)
  return (bits.getUint8(0) & 0x80) !== 0
}

/** We are a replica that has lost its primary, and the owner wants no old data served. */
export const isStale = ({ replication, config }: Server): boolean =>
  replication.isReplica && !replication.linkUp && !config.values.replicaServeStaleData

/** Why nobody may begin to write now. */
function refusedWrite({ replication, persistence, config }: Server): string | undefined {
  if (replication.isReplica && config.values.replicaReadOnly) return READ_ONLY.text
  if (persistence?.refusal !== undefined) return persistence.refusal.text
  const least = config.values.minReplicasToWrite
  return !replication.isReplica && least > 0 && replication.goodReplicas() < least ? NO_REPLICAS.text : undefined
}
