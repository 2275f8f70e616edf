/** The world a script sees: Redis's selection of Lua's library, nothing that reaches the system, and tables that stay as they are. */
import { Guards } from './guards.ts'
import { FUNCTION, GLOBALS, type Lua, type LuaFunction, OUR_CHUNK, REGISTRY, TABLE } from './lua.ts'
import type { Pointer } from './lua-module.ts'
import { PRELUDE } from './prelude.ts'

/** Where scripts (`eval`) and libraries of functions find their globals; all are references into Lua's registry. */
export interface Sandbox {
  /** The globals themselves: KEYS and ARGV are put here. */
  readonly evalGlobals: number
  /** What scripts hold as `_G`. */
  readonly evalFront: number
  readonly functionGlobals: number
  readonly functionFront: number
  /** The metatable of `functionFront`: its `__index` is where the globals are looked up. */
  readonly functionMeta: number
  /** The globals while a library is loaded. */
  readonly loadingGlobals: number
}

/** Fills the table on top of the stack. */
export type Fill = (lua: Lua, L: Pointer) => void

/** What the node adds. */
export interface Additions {
  /** `redis` for scripts, for functions, and while a library is loaded. */
  readonly evalRedis: Fill
  readonly functionRedis: Fill
  readonly loadingRedis: Fill
  /** Libraries by global name, or additions to Lua's own. */
  readonly libraries: Readonly<Record<string, Fill>>
  /** For the prelude: `enter`, `preempted`. */
  readonly control: Readonly<Record<string, LuaFunction>>
}

/** Globals of Lua's own library that redis-server leaves. */
const KEPT = [
  '_VERSION',
  'assert',
  'collectgarbage',
  'error',
  'gcinfo',
  'getmetatable',
  'ipairs',
  'loadstring',
  'next',
  'pairs',
  'rawequal',
  'rawget',
  'rawset',
  'select',
  'setmetatable',
  'tonumber',
  'tostring',
  'type',
  'unpack',
  'string',
  'table',
  'math',
]

/** Opens the libraries and builds both environments. */
export function buildSandbox(lua: Lua, additions: Additions): Sandbox {
  const { api, main: L } = lua
  for (const open of [api.luaopen_base, api.luaopen_table, api.luaopen_string, api.luaopen_math]) open(L)
  api.lua_settop(L, 0)
  const guards = new Guards(lua)
  loadPrelude(lua)
  pushNative(lua, additions, (T) => guards.protect(T))
  pushLibrary(lua, additions)
  if (api.lua_pcall(L, 2, 6, 0) !== 0) throw new Error(`the prelude failed: ${lua.readText(L, -1)}`)
  const [loadingGlobals, functionMeta, functionFront, functionGlobals, evalFront, evalGlobals] = Array.from(
    { length: 6 },
    () => api.luaL_ref(L, REGISTRY),
  ) as [number, number, number, number, number, number]
  return { evalGlobals, evalFront, functionGlobals, functionFront, functionMeta, loadingGlobals }
}

function loadPrelude(lua: Lua): void {
  const { api, main: L } = lua
  const text = Buffer.from(PRELUDE)
  const at = api.malloc(text.length)
  lua.bytes.set(text, at)
  if (api.luaL_loadbuffer(L, at, text.length, lua.text(OUR_CHUNK)) !== 0) throw new Error(lua.readText(L, -1))
  api.free(at)
}

/** The table `native` of the prelude. */
function pushNative(lua: Lua, { control, ...tables }: Additions, protect: LuaFunction): void {
  const { api, main: L } = lua
  api.lua_createtable(L, 0, 8)
  lua.register(L, {
    ...control,
    isNative: (T) => {
      api.lua_pushboolean(T, api.lua_type(T, 1) === FUNCTION && api.lua_iscfunction(T, 1) === 0 ? 0 : 1)
      return 1
    },
    protect,
  })
  const { evalRedis, functionRedis, loadingRedis } = tables
  for (const [name, fill] of Object.entries({ evalRedis, functionRedis, loadingRedis })) {
    lua.pushText(L, name)
    api.lua_createtable(L, 0, 16)
    fill(lua, L)
    api.lua_rawset(L, -3)
  }
  lua.pushText(L, 'loadstring')
  api.lua_getfield(L, GLOBALS, lua.text('loadstring'))
  api.lua_rawset(L, -3)
}

/** The table `library`: what becomes the globals. */
function pushLibrary(lua: Lua, { libraries }: Additions): void {
  const { api, main: L } = lua
  api.lua_createtable(L, 0, 64)
  for (const name of KEPT) {
    lua.pushText(L, name)
    api.lua_getfield(L, GLOBALS, lua.text(name))
    api.lua_rawset(L, -3)
  }
  for (const [name, fill] of Object.entries(libraries)) {
    lua.pushText(L, name)
    api.lua_getfield(L, -2, lua.text(name))
    if (api.lua_type(L, -1) !== TABLE) {
      api.lua_settop(L, -2)
      api.lua_createtable(L, 0, 16)
    }
    fill(lua, L)
    api.lua_rawset(L, -3)
  }
}
