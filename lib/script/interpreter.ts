/** An interpreter: one Lua with its sandbox. It compiles, runs, puts a run aside and goes on with it; what it means is for others. */

import { GLOBALS, Lua, NIL, OK, OUT_OF_MEMORY, type Place, REGISTRY, STRING, TABLE, YIELD } from './lua.ts'
import { LuaLost, type Pointer } from './lua-module.ts'
import { type Additions, buildSandbox, type Sandbox } from './sandbox.ts'

/** Scripts (`EVAL`) and functions live in worlds of their own. */
export type World = 'eval' | 'function'

/** How a run, or a part of it, ended. */
export type Outcome =
  | { readonly type: 'done' }
  /** It was put aside, and stands at `place`. */
  | { readonly type: 'aside'; readonly place: Place | undefined }
  | { readonly type: 'failed'; readonly error: ScriptError }

export interface ScriptError {
  /** With its code: "ERR user_script:1: ..." */
  readonly text: string
  readonly place: Place | undefined
  /** INFO errorstats has counted it. */
  readonly counted: boolean
}

/** Thrown through Lua to end a run at once: no pcall of the script can catch it. */
export class RunStopped {
  readonly error: ScriptError
  constructor(error: ScriptError) {
    this.error = error
  }
}

/** What an interpreter may take from the system. Lua itself knows no limit, but one script must not take the node with it. */
export const MEMORY_CAP = 256 * 1024 * 1024
/** WebAssembly never gives memory back: beyond this the interpreter is replaced after the run. */
const MEMORY_KEPT = 64 * 1024 * 1024
/** How often the clock is looked at. */
const INSTRUCTIONS_PER_LOOK = 10_000
/** Lua's own limit of C calls within one another, which nested pcalls have there. */
const MAX_NESTING = 198

const CHUNK_NAMES = { eval: '@user_script', function: '@user_function' } as const
const ESCAPE = 0x1b
const BLANK = Buffer.from(' ')
const NO_MEMORY = 'ERR not enough memory'
const DONE: Outcome = { type: 'done' }

export class Interpreter {
  readonly lua: Lua
  readonly sandbox: Sandbox
  /** Called every now and then while a script runs; true: it is to be put aside, if it can be. May throw RunStopped. */
  readonly #look: (yieldable: boolean, place: () => Place | undefined) => boolean
  /** The coroutine in which the next run of a world starts. */
  readonly #threads: Record<World, { at: Pointer; reference: number }>
  #depth = 0
  #preempted = false
  #place: Place | undefined
  /** It cannot be used any more: something went wrong below Lua. */
  lost = false

  constructor(
    additions: Omit<Additions, 'control'>,
    look: (yieldable: boolean, place: () => Place | undefined) => boolean,
  ) {
    this.lua = new Lua(MEMORY_CAP)
    this.#look = look
    const control = { enter: (L: Pointer) => this.#enter(L), preempted: (L: Pointer) => this.#leave(L) }
    this.sandbox = buildSandbox(this.lua, { ...additions, control })
    this.lua.setHook((L) => this.#hook(L))
    this.#threads = { eval: this.#newThread('eval'), function: this.#newThread('function') }
  }

  /** A reference to the compiled function, or why there is none. */
  compile(world: World, body: Buffer): { readonly reference: number } | { readonly error: string } {
    const { api } = this.lua
    const L = this.#threads[world].at
    // A binary chunk would go round the compiler and its checks: behind a blank it is text, and refused.
    const text = body[0] === ESCAPE ? Buffer.concat([BLANK, body]) : body
    const at = api.malloc(text.length + 1)
    if (at === 0) return { error: 'not enough memory' }
    this.lua.bytes.set(text, at)
    const status = api.luaL_loadbuffer(L, at, text.length, this.lua.text(CHUNK_NAMES[world]))
    api.free(at)
    if (status === OK) return { reference: api.luaL_ref(L, REGISTRY) }
    const error = this.lua.readText(L, -1) ?? ''
    api.lua_settop(L, 0)
    return { error }
  }

  forget(reference: number): void {
    this.lua.api.luaL_unref(this.lua.main, REGISTRY, reference)
  }

  /** The coroutine in which the next run of a world starts; its stack is empty. */
  thread(world: World): Pointer {
    return this.#threads[world].at
  }

  /** Starts the function below `args` arguments on the stack of the world's thread. */
  start(world: World, args: number): Outcome {
    this.#depth = 0
    return this.#resume(world, args)
  }

  /** Goes on with a run that was put aside. */
  goOn(world: World): Outcome {
    this.#preempted = false
    return this.#resume(world, 0)
  }

  /** Drops the run that was put aside. */
  abandon(world: World): void {
    this.#preempted = false
    const { api, main } = this.lua
    api.luaL_unref(main, REGISTRY, this.#threads[world].reference)
    this.#threads[world] = this.#newThread(world)
  }

  /** After a run, when its results have been read: is it fit for the next one? */
  get fit(): boolean {
    return !this.lost && this.lua.size <= MEMORY_KEPT
  }

  #resume(world: World, args: number): Outcome {
    const L = this.#threads[world].at
    const { api } = this.lua
    const stack = api.stackSave()
    try {
      const status = api.lua_resume(L, args)
      if (status === OK) return DONE
      if (status === YIELD) return { type: 'aside', place: this.#place }
      const error = this.#errorOn(L, status)
      this.abandon(world)
      return { type: 'failed', error }
    } catch (cause) {
      api.stackRestore(stack)
      if (cause instanceof RunStopped) {
        this.abandon(world)
        return { type: 'failed', error: cause.error }
      }
      // The machine's stack is exhausted, or Lua has given up: what is left of it is not to be trusted.
      this.lost = true
      // Lua gives up when there is no memory even for saying so.
      const why = cause instanceof Error ? cause.message : String(cause)
      const text = cause instanceof LuaLost ? NO_MEMORY : `ERR the script broke its interpreter: ${why}`
      return { type: 'failed', error: { text, place: undefined, counted: false } }
    }
  }

  #newThread(world: World): { at: Pointer; reference: number } {
    const { lua, sandbox } = this
    const { api, main } = lua
    const at = api.lua_newthread(main)
    const reference = api.luaL_ref(main, REGISTRY)
    api.lua_rawgeti(at, REGISTRY, world === 'eval' ? sandbox.evalFront : sandbox.functionFront)
    api.lua_replace(at, GLOBALS)
    lua.watch(at, INSTRUCTIONS_PER_LOOK)
    return { at, reference }
  }

  /** The error that ended a thread, as its client is to be told. */
  #errorOn(L: Pointer, status: number): ScriptError {
    const { lua } = this
    const { api } = lua
    if (status === OUT_OF_MEMORY) return { text: NO_MEMORY, place: undefined, counted: false }
    const place = lua.place(L)
    if (api.lua_type(L, -1) !== TABLE) return { text: `ERR ${textOf(lua, L)}`, place, counted: false }
    lua.pushText(L, 'ignore_error_stats_update')
    api.lua_rawget(L, -2)
    const counted = api.lua_toboolean(L, -1) !== 0
    api.lua_settop(L, -2)
    lua.pushText(L, 'err')
    api.lua_rawget(L, -2)
    const text = lua.readText(L, -1) ?? 'ERR unknown error'
    return { text, place, counted }
  }

  #hook(L: Pointer): void {
    const yieldable = this.lua.mayYield(L)
    if (!this.#look(yieldable, () => this.lua.place(L))) return
    this.#preempted = true
    this.#place = this.lua.place(L)
    this.lua.api.lua_yield(L, 0)
  }

  /** Prelude: one coroutine more within the others; false when there are too many. */
  #enter(L: Pointer): number {
    const { api } = this.lua
    const fits = this.#depth < MAX_NESTING
    if (fits) this.#depth++
    api.lua_pushboolean(L, fits ? 1 : 0)
    return 1
  }

  /** Prelude: a coroutine has stopped. nil: of its own will; true: the hook has stopped it, and so must the one around it stop;
   *  false: that one cannot, go on. */
  #leave(L: Pointer): number {
    const { lua } = this
    if (!this.#preempted) {
      this.#depth--
      lua.api.lua_pushnil(L)
      return 1
    }
    const mayYield = lua.mayYield(L)
    if (!mayYield) this.#preempted = false
    lua.api.lua_pushboolean(L, mayYield ? 1 : 0)
    return 1
  }
}

/** An error that is no table, as `tostring` has it. */
function textOf(lua: Lua, L: Pointer): string {
  const { api } = lua
  const type = api.lua_type(L, -1)
  if (type === NIL) return 'nil'
  if (type === STRING) return lua.readText(L, -1)!
  return lua.readText(L, -1) ?? (api.lua_toboolean(L, -1) !== 0 ? 'true' : 'false')
}
