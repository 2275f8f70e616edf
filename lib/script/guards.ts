/** What stands before the tables that scripts must not change, seen from the functions that go past metamethods: `rawset`, `pairs` ...
 *  A front is an empty table whose metatable leads to the real one (see the prelude). */
import { GLOBALS, type Lua, type LuaFunction, REGISTRY, TABLE } from './lua.ts'
import type { Pointer } from './lua-module.ts'

const READ_ONLY = 'Attempt to modify a readonly table'
/** Binary chunks begin with it. */
const ESCAPE = 0x1b

/** Bytes that `string.rep` may make at once: it needs them twice. */
const MAX_REPEATED = 96 * 1024 * 1024

/** Stands in for a function of Lua's library, of which it gets the address. */
type Guard = (original: number) => LuaFunction

export class Guards {
  readonly #lua: Lua
  /** What stands behind a front, by the front's address: a reference. */
  readonly #real = new Map<Pointer, number>()
  /** What getmetatable answers instead, by the metatable's address: a reference, or undefined for nil. */
  readonly #shown = new Map<Pointer, number | undefined>()

  /** Puts guarded functions in the place of Lua's own. */
  constructor(lua: Lua) {
    this.#lua = lua
    const writes: Guard = (original) => (L) => {
      if (this.#isFront(L)) lua.raise(L, READ_ONLY)
      return lua.call(original, L)
    }
    const reads: Guard = (original) => (L) => {
      if (this.#isFront(L)) this.#unfront(L)
      return lua.call(original, L)
    }
    this.#replace('table', { insert: writes })
    this.#replace('string', { rep: (original) => (L) => this.#repeat(L, original) })
    this.#replace(undefined, {
      rawset: writes,
      setmetatable: writes,
      rawget: reads,
      next: reads,
      getmetatable: (original) => (L) => this.#getMetatable(L, original),
      loadstring: (original) => (L) => this.#loadString(L, original),
    })
    this.#addPairs()
  }

  /** protect(front, real, shown metatable); without `real`, `front` is itself a metatable to hide. */
  protect(L: Pointer): number {
    const { api } = this.#lua
    const at = api.lua_topointer(L, 1)
    const shown = this.#reference(L, 3)
    const real = this.#reference(L, 2)
    if (real === undefined) {
      this.#shown.set(at, shown)
      return 0
    }
    // The front must stay for good: its address is its name.
    this.#reference(L, 1)
    this.#real.set(at, real)
    api.lua_getmetatable(L, 1)
    this.#shown.set(api.lua_topointer(L, -1), shown)
    return 0
  }

  /** Of the table at `index`; undefined when there is none. */
  #reference(L: Pointer, index: number): number | undefined {
    const { api } = this.#lua
    if (api.lua_type(L, index) !== TABLE) return undefined
    api.lua_pushvalue(L, index)
    return api.luaL_ref(L, REGISTRY)
  }

  #isFront(L: Pointer): boolean {
    return this.#real.has(this.#lua.api.lua_topointer(L, 1))
  }

  /** Replaces a front, argument 1, that is only read by a copy of what it stands for. */
  #unfront(L: Pointer): void {
    const { api } = this.#lua
    const reference = this.#real.get(api.lua_topointer(L, 1))
    if (reference === undefined) return
    api.lua_createtable(L, 0, 0)
    api.lua_rawgeti(L, REGISTRY, reference)
    api.lua_pushnil(L)
    while (api.lua_next(L, -2) !== 0) {
      api.lua_pushvalue(L, -2)
      api.lua_insert(L, -2)
      api.lua_rawset(L, -5)
    }
    api.lua_settop(L, -2)
    api.lua_replace(L, 1)
  }

  #replace(library: string | undefined, guards: Readonly<Record<string, Guard>>): void {
    const lua = this.#lua
    const { api, main } = lua
    if (library === undefined) api.lua_pushvalue(main, GLOBALS)
    else api.lua_getfield(main, GLOBALS, lua.text(library))
    const made: Record<string, LuaFunction> = {}
    for (const [name, guard] of Object.entries(guards)) {
      api.lua_getfield(main, -1, lua.text(name))
      made[name] = guard(api.lua_tocfunction(main, -1))
      api.lua_settop(main, -2)
    }
    lua.register(main, made)
    api.lua_settop(main, 0)
  }

  #getMetatable(L: Pointer, original: number): number {
    const lua = this.#lua
    const count = lua.call(original, L)
    const at = lua.api.lua_topointer(L, -1)
    if (!this.#shown.has(at)) return count
    const reference = this.#shown.get(at)
    if (reference === undefined) lua.api.lua_pushnil(L)
    else lua.api.lua_rawgeti(L, REGISTRY, reference)
    return 1
  }

  /** Lua would fill the memory byte by byte, for a second, before it found that there is too little: and no hook is called meanwhile. */
  #repeat(L: Pointer, original: number): number {
    const lua = this.#lua
    if (lua.string(L, 1) !== 0 && lua.stringLength * lua.api.lua_tonumber(L, 2) > MAX_REPEATED)
      lua.raise(L, 'not enough memory')
    return lua.call(original, L)
  }

  /** No binary chunks: they go round every check of the compiler. Behind a blank one is text, and refused. */
  #loadString(L: Pointer, original: number): number {
    const lua = this.#lua
    const { api } = lua
    const at = lua.string(L, 1)
    if (at !== 0 && lua.stringLength > 0 && lua.bytes[at] === ESCAPE) {
      if (api.lua_gettop(L) < 2) api.lua_pushvalue(L, 1)
      lua.pushText(L, ' ')
      api.lua_pushvalue(L, 1)
      api.lua_concat(L, 2)
      api.lua_replace(L, 1)
    }
    return lua.call(original, L)
  }

  /** Lua's own `pairs` has `next` as an upvalue, which only its own closure can give it: here it is made anew. */
  #addPairs(): void {
    const lua = this.#lua
    const { api, main } = lua
    api.lua_getfield(main, GLOBALS, lua.text('next'))
    const next = api.luaL_ref(main, REGISTRY)
    api.lua_pushvalue(main, GLOBALS)
    lua.register(main, {
      pairs: (L) => {
        if (api.lua_type(L, 1) !== TABLE) lua.badArgument(L, 1, 'table')
        if (this.#isFront(L)) this.#unfront(L)
        api.lua_rawgeti(L, REGISTRY, next)
        api.lua_pushvalue(L, 1)
        api.lua_pushnil(L)
        return 3
      },
    })
    api.lua_settop(main, 0)
  }
}
