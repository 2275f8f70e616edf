/** Scripting, as the server sees it: the cache, the libraries, and the one run that may be in progress.
 *
 *  Node cannot serve sockets while JavaScript, or Lua called by it, runs. So a script that takes longer than `busy-reply-threshold` is
 *  put aside in the middle: it goes on in short slices, one for each turn of the event loop, and between them the other clients are
 *  answered -BUSY. Nothing but the script changes data meanwhile, so it stays as atomic as if it had never been interrupted. */
import type { Millis } from '../base/brand.ts'
import { monotonicMicros } from '../base/clock.ts'
import { ClientError, fail, MASTER_DOWN, NO_REPLICAS } from '../errors.ts'
import { type Argv, keepArgv } from '../resp/argv.ts'
import type { Reply } from '../resp/reply.ts'
import type { Call } from '../server/call.ts'
import type { Client } from '../server/client.ts'
import type { Server } from '../server/server.ts'
import { type Runnable, type Script, ScriptCache } from './cache.ts'
import { isStale, ScriptCalls } from './call.ts'
import { replyValue, type Target } from './from-lua.ts'
import { Interpreter, type Outcome, RunStopped, type ScriptError, type World } from './interpreter.ts'
import { type Found, Libraries, type LibraryFunction } from './libraries.ts'
import { type Lua, type Place, REGISTRY } from './lua.ts'
import type { Pointer } from './lua-module.ts'
import { type Outside, raiseError, readRegistration, redisTables } from './redis-api.ts'
import { REPLICATE_ALL, type Run, type ScriptFlag } from './run.ts'
import { standardLibraries } from './standard.ts'

/** How long a slice of a run that was put aside is, in microseconds: other clients wait no longer than that. */
const SLICE = 10_000
/** FUNCTION LOAD may take so long. */
const LOAD_LIMIT = 500_000

const NOT_BUSY = new ClientError('NOTBUSY No scripts in execution right now.')
const BUSY_EVAL = new ClientError(
  'BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.',
)
const BUSY_FUNCTION = new ClientError(
  'BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.',
)
const UNKILLABLE = new ClientError(
  'UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.',
)
const KILLED = 'ERR Script killed by user with SCRIPT KILL...'
/** Lua cannot be left where it stands (see the prelude), and nobody could stop it: so the node does. */
const STUCK =
  'ERR Script killed: it ran for too long where it cannot be put aside (a metamethod, an iterator, a callback)'

export class Scripting {
  /** A script is put aside: most commands are refused. The one thing the dispatcher looks at. */
  busy = false
  readonly cache = new ScriptCache(() => this.#ready())
  readonly libraries: Libraries
  readonly #server: Server
  readonly #calls: ScriptCalls
  /** Where results go; used again from run to run. */
  readonly #target: { reply: Reply; resp3: boolean } & Target
  #answered: Client
  #interpreter: Interpreter | undefined
  #run: Run | undefined
  /** While a library is loaded: takes its functions. */
  #registers: ((found: Found) => string | undefined) | undefined
  /** When the script is to be put aside, and when it is to be ended if that was not possible; microseconds of the monotonic clock. */
  #sliceEnd = 0
  #patienceEnd = 0
  /** The time the script began, which stands still for it. */
  #now = 0 as Millis
  /** What is left to do of the transaction that the script is part of. */
  #after: (() => void) | undefined

  constructor(server: Server, client: Client) {
    this.#server = server
    // A command that would block must see that it may not, as inside a transaction.
    client.multi = { queue: [], aborted: false }
    this.#calls = new ScriptCalls(server, client)
    this.#answered = client
    this.#target = {
      reply: client.reply,
      resp3: false,
      error: (text, counted) => this.#replyError(this.#answered, text, counted),
    }
    this.libraries = new Libraries(
      server.keyspace,
      server.log,
      (code, register) => this.#load(code, register),
      (reference) => this.#interpreter?.forget(reference),
    )
  }

  /** Bytes in use by Lua. */
  get memory(): number {
    return this.#interpreter?.lua.used ?? 0
  }

  /** EVAL: keys from argument `keysAt` on, as many as `keyCount`; then the other arguments. */
  eval(call: Call, argv: Argv, script: Script, keyCount: number, readOnly: boolean): void {
    this.#start(call, argv, script, keyCount, readOnly)
  }

  /** FCALL */
  callFunction(call: Call, argv: Argv, fn: LibraryFunction, keyCount: number, readOnly: boolean): void {
    this.#ready()
    // A new interpreter has loaded the libraries anew.
    const { name, flags, reference } = this.libraries.find(fn.name) ?? fn
    this.#start(call, argv, { world: 'function', name, flags, reference }, keyCount, readOnly)
  }

  /** The command that has just been carried out was a script, and it is put aside. */
  get aside(): boolean {
    return this.busy && this.#run !== undefined
  }

  /** What a command that does not go on while a script is busy is told. */
  get refusal(): ClientError {
    return this.#run?.world === 'function' ? BUSY_FUNCTION : BUSY_EVAL
  }

  /** The run that was put aside: name, request, milliseconds. For FUNCTION STATS. */
  get running(): { readonly name: string; readonly request: Argv; readonly ms: number } | undefined {
    const run = this.#run
    if (run === undefined || !this.busy) return undefined
    return { name: run.name, request: run.request, ms: Math.floor((monotonicMicros() - run.startedMicros) / 1000) }
  }

  /** SCRIPT KILL and FUNCTION KILL. Throws why not. */
  kill(world: World): void {
    const run = this.#run
    if (run === undefined || !this.busy) throw NOT_BUSY
    if (run.world !== world) throw this.refusal
    if (run.wrote) throw UNKILLABLE
    this.#interpreter?.abandon(run.world)
    this.#server.log.warning('Lua script killed by user with SCRIPT KILL.')
    this.#finish(run, { type: 'failed', error: { text: KILLED, place: run.place, counted: false } })
  }

  /** Goes on with the script that was put aside, for a slice; called at the end of each turn. */
  goOn(): void {
    const run = this.#run
    if (run === undefined || !this.busy || this.#interpreter === undefined) return
    this.#freeze()
    const now = monotonicMicros()
    this.#sliceEnd = now + SLICE
    this.#patienceEnd = now + this.#patience
    const server = this.#server
    server.calls.enter(run.client, run.entry, run.request)
    const outcome = this.#interpreter.goOn(run.world)
    if (outcome.type === 'aside') run.place = outcome.place
    else this.#finish(run, outcome)
    server.calls.leave()
    server.host.requestEndTurn()
    server.refreshClock()
  }

  /** A transaction whose command has put a script aside leaves what remains of it to be done after the script. */
  afterwards(rest: () => void): void {
    this.#after = rest
  }

  // --- one run

  #start(call: Call, argv: Argv, what: Runnable, keyCount: number, ro: boolean): void {
    const { server, client } = call
    const interpreter = this.#ready()
    const run = this.#admit(call, argv, what, ro)
    // Its effects are replicated; it is not.
    call.propagate()
    this.#run = run
    const asked = this.#calls.client
    asked.db = client.db
    asked.user = client.user
    asked.primary = client.primary
    const { lua } = interpreter
    const L = interpreter.thread(what.world)
    const args = this.#pushCall(interpreter, L, what, argv, keyCount)
    const threshold = server.config.values.busyReplyThreshold * 1000
    this.#now = server.now
    // What our primary, or a file, says comes in order: nothing of it can wait for a script.
    const isPatient = threshold === 0 || client.primary
    this.#sliceEnd = isPatient ? Number.POSITIVE_INFINITY : run.startedMicros + threshold
    this.#patienceEnd = this.#sliceEnd + threshold
    const outcome = interpreter.start(what.world, args)
    if (outcome.type === 'aside') return this.#putAside(run, outcome.place)
    this.#conclude(run, lua, L, outcome)
    this.#run = undefined
    if (!interpreter.fit) this.#interpreter = undefined
  }

  /** Pushes the function, and for a function its keys and arguments; scripts have theirs in globals. Returns the number of arguments. */
  #pushCall({ lua, sandbox }: Interpreter, L: Pointer, what: Runnable, argv: Argv, keyCount: number): number {
    const { api } = lua
    const first = 3
    if (what.world === 'function') {
      api.lua_rawgeti(L, REGISTRY, what.reference)
      pushStrings(lua, L, argv, first, first + keyCount)
      pushStrings(lua, L, argv, first + keyCount, argv.count)
      return 2
    }
    api.lua_rawgeti(L, REGISTRY, sandbox.evalGlobals)
    lua.pushText(L, 'KEYS')
    pushStrings(lua, L, argv, first, first + keyCount)
    api.lua_rawset(L, -3)
    lua.pushText(L, 'ARGV')
    pushStrings(lua, L, argv, first + keyCount, argv.count)
    api.lua_rawset(L, -3)
    api.lua_settop(L, -2)
    api.lua_rawgeti(L, REGISTRY, what.reference)
    return 0
  }

  /** May it run now? Throws ClientErrors, in redis-server's order. */
  #admit({ server, client, entry }: Call, request: Argv, { world, name, flags }: Runnable, ro: boolean): Run {
    const { replication, persistence, config } = server
    const has = (flag: ScriptFlag): boolean => flags?.includes(flag) === true
    if (isStale(server)) {
      if (flags === undefined) throw MASTER_DOWN
      if (!has('allow-stale')) throw STALE_SCRIPT
    }
    if (flags !== undefined) {
      if (has('no-cluster') && server.cluster !== undefined)
        throw fail("Can not run script on cluster, 'no-cluster' flag is set.")
      if (!has('no-writes') && !client.primary) {
        if (replication.isReplica && config.values.replicaReadOnly) throw READ_ONLY_REPLICA
        if (persistence?.refusal !== undefined) throw persistence.refusal
        const least = config.values.minReplicasToWrite
        if (!replication.isReplica && least > 0 && replication.goodReplicas() < least) throw NO_REPLICAS
        if (ro) throw fail('Can not execute a script with write flag using *_ro command.')
      }
      if (!has('allow-oom') && server.eviction.isShort) throw NOT_WITHOUT_MEMORY
    }
    return {
      world,
      name,
      entry,
      request,
      client,
      readOnly: ro || has('no-writes'),
      allowOom: has('allow-oom'),
      allowStale: has('allow-stale'),
      allowCrossSlot: flags === undefined || has('allow-cross-slot-keys'),
      startedMicros: monotonicMicros(),
      wrote: false,
      resp3: false,
      replicate: REPLICATE_ALL,
      slot: -1,
      place: undefined,
    }
  }

  /** The first slice is over: from now on the others are BUSY. The unit of effects stays open until the end of the script. */
  #putAside(run: Run, place: Place | undefined): void {
    const server = this.#server
    run.place = place
    run.request = keepArgv(run.request)
    this.busy = true
    server.propagation.begin()
    server.block(run.client, { kind: 'script', timeoutAt: 0 as Millis, leave() {} })
    const ms = Math.floor((monotonicMicros() - run.startedMicros) / 1000)
    const command = run.world === 'eval' ? 'SCRIPT KILL' : 'FUNCTION KILL'
    server.log.warning(
      `Slow script detected: still in execution after ${ms} milliseconds. You can try killing the script using the ${command} command. Script name is: ${run.name}.`,
    )
    server.host.requestEndTurn()
  }

  /** The end of a script that was put aside. */
  #finish(run: Run, outcome: Outcome): void {
    const server = this.#server
    const { client } = run
    const interpreter = this.#interpreter
    if (interpreter !== undefined && !client.closed)
      server.answerLate(client, () => this.#conclude(run, interpreter.lua, interpreter.thread(run.world), outcome))
    this.#run = undefined
    if (interpreter?.fit === false) this.#interpreter = undefined
    const after = this.#after
    this.#after = undefined
    // What remains of the transaction may have a script that is put aside as well.
    after?.()
    this.busy = this.#run !== undefined
    server.propagation.end()
    client.writeOffset = server.streamOffset()
    if (!this.busy) server.unblock(client)
    server.flushLater(client)
  }

  /** Writes the reply. */
  #conclude(run: Run, lua: Lua, L: Pointer, outcome: Outcome): void {
    const { client } = run
    if (outcome.type === 'failed') return this.#replyFailure(run, outcome.error)
    const target = this.#target
    target.reply = client.reply
    target.resp3 = run.resp3
    this.#answered = client
    const { api } = lua
    if (api.lua_gettop(L) === 0) api.lua_pushnil(L)
    else api.lua_settop(L, 1)
    replyValue(lua, L, target)
    api.lua_settop(L, 0)
  }

  #replyFailure({ client, name }: Run, { text, place, counted }: ScriptError): void {
    const where = place === undefined ? '' : ` script: ${name}, on ${place.source}:${place.line}.`
    this.#replyError(client, text + where, counted)
  }

  #replyError(client: Client, text: string, counted: boolean): void {
    if (counted) client.reply.error(text)
    else this.#server.replyError(client, new ClientError(text))
  }

  // --- the interpreter

  /** The interpreter, made when it is first needed. */
  #ready(): Interpreter {
    if (this.#interpreter !== undefined) return this.#interpreter
    const outside = this.#outside()
    const made = new Interpreter(
      { ...redisTables(() => outside), libraries: standardLibraries(this.#server.random) },
      (yieldable) => this.#look(yieldable),
    )
    this.#interpreter = made
    this.libraries.renew()
    return made
  }

  #outside(): Outside {
    const server = this.#server
    const current = (): Run => {
      const run = this.#run
      if (run === undefined) throw new Error('a function of redis was called outside of a run')
      return run
    }
    return {
      get run() {
        return current()
      },
      call: (lua, L, raises) => this.#calls.call(lua, L, current(), raises),
      mayCall: (lua, L) => this.#calls.mayCall(lua, L, current()),
      log: (level, text) => server.log.at(level, text),
      registerFunction: (lua, L) => this.#register(lua, L),
    }
  }

  /** Every ten thousand instructions: has it been long enough? */
  #look(yieldable: boolean): boolean {
    const now = monotonicMicros()
    if (now < this.#sliceEnd) return false
    if (this.#registers !== undefined) throw new RunStopped(failure('ERR FUNCTION LOAD timeout'))
    if (yieldable) return true
    if (now > this.#patienceEnd) throw new RunStopped(failure(STUCK))
    return false
  }

  get #patience(): number {
    return this.#server.config.values.busyReplyThreshold * 1000
  }

  /** Time stands still for a script, also while it is put aside. */
  #freeze(): void {
    this.#server.now = this.#now
    this.#server.keyspace.now = this.#now
  }

  // --- loading libraries

  #load(code: Buffer, register: (found: Found) => string | undefined): void {
    const interpreter = this.#ready()
    const compiled = interpreter.compile('function', code)
    if ('error' in compiled) throw fail(`Error compiling function: ${compiled.error}`)
    const { lua, sandbox } = interpreter
    const L = interpreter.thread('function')
    this.#registers = register
    const outer = [this.#sliceEnd, this.#patienceEnd] as const
    this.#sliceEnd = monotonicMicros() + LOAD_LIMIT
    lookUpGlobalsIn(lua, L, sandbox.functionMeta, sandbox.loadingGlobals)
    lua.api.lua_rawgeti(L, REGISTRY, compiled.reference)
    const outcome = interpreter.start('function', 0)
    if (!interpreter.lost) {
      lookUpGlobalsIn(lua, lua.main, sandbox.functionMeta, sandbox.functionGlobals)
      interpreter.forget(compiled.reference)
      lua.api.lua_settop(interpreter.thread('function'), 0)
    }
    this.#registers = undefined
    ;[this.#sliceEnd, this.#patienceEnd] = outer
    if (outcome.type === 'failed') throw fail(`Error registering functions: ${outcome.error.text}`)
  }

  #register(lua: Lua, L: Pointer): void {
    const registers = this.#registers
    if (registers === undefined)
      raiseError(lua, L, 'redis.register_function can only be called on FUNCTION LOAD command')
    const { name, description, flags, callback } = readRegistration(lua, L)
    lua.api.lua_pushvalue(L, callback)
    const reference = lua.api.luaL_ref(L, REGISTRY)
    const refusal = registers({ name, description, flags, reference })
    if (refusal !== undefined) raiseError(lua, L, refusal)
  }
}

const STALE_SCRIPT = new ClientError(
  "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and 'allow-stale' flag is not set on the script.",
)
const NOT_WITHOUT_MEMORY = new ClientError(
  "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
)
const READ_ONLY_REPLICA = new ClientError('READONLY Can not run script with write flag on readonly replica.')

const failure = (text: string): ScriptError => ({ text, place: undefined, counted: false })

/** Pushes the arguments from `from` to `to` as a table. */
function pushStrings(lua: Lua, L: Pointer, argv: Argv, from: number, to: number): void {
  const { api } = lua
  api.lua_createtable(L, to - from, 0)
  for (let i = from; i < to; i++) {
    lua.push(L, argv.buffer, argv.starts[i], argv.ends[i])
    api.lua_rawseti(L, -2, i - from + 1)
  }
}

/** Turns a front to other globals. */
function lookUpGlobalsIn(lua: Lua, L: Pointer, meta: number, globals: number): void {
  const { api } = lua
  api.lua_rawgeti(L, REGISTRY, meta)
  lua.pushText(L, '__index')
  api.lua_rawgeti(L, REGISTRY, globals)
  api.lua_rawset(L, -3)
  api.lua_settop(L, -2)
}
