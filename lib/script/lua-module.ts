/** Lua 5.1 as a WebAssembly module: the C API that `wasmoon-lua5.1` exports, and the few imports that it needs. Only the package's
 *  .wasm file is used. Its own JavaScript is not: that converts strings to text, and binary values must come through unchanged.
 *
 *  `lua-redis-wasm` was the alternative: Redis's own patched Lua with its libraries. It was not taken, because it has a fixed memory of
 *  64 MB, stops a script by fuel only for good (what runs cannot be put aside while the node answers others), wants Node 22, and needs
 *  one serialisation of all arguments and replies for each call. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { monotonicMicros, wallClock } from '../base/clock.ts'

/** `lua_State *` and every other address. */
export type Pointer = number

/** The C API, as far as it is used. Pointers, integers and booleans are numbers. */
export interface LuaApi {
  readonly memory: WebAssembly.Memory
  readonly __indirect_function_table: WebAssembly.Table
  __wasm_call_ctors(): void
  malloc(size: number): Pointer
  free(at: Pointer): void
  stackSave(): number
  stackRestore(at: number): void
  setThrew(threw: number, value: number): void
  luaL_newstate(): Pointer
  luaopen_base(L: Pointer): number
  luaopen_table(L: Pointer): number
  luaopen_string(L: Pointer): number
  luaopen_math(L: Pointer): number
  lua_newthread(L: Pointer): Pointer
  lua_resume(L: Pointer, args: number): number
  lua_yield(L: Pointer, results: number): number
  lua_status(L: Pointer): number
  lua_sethook(L: Pointer, hook: number, mask: number, count: number): number
  lua_getstack(L: Pointer, level: number, debug: Pointer): number
  lua_getinfo(L: Pointer, what: Pointer, debug: Pointer): number
  lua_gc(L: Pointer, what: number, data: number): number
  lua_gettop(L: Pointer): number
  lua_settop(L: Pointer, top: number): void
  lua_pushvalue(L: Pointer, index: number): void
  lua_remove(L: Pointer, index: number): void
  lua_insert(L: Pointer, index: number): void
  lua_replace(L: Pointer, index: number): void
  lua_checkstack(L: Pointer, extra: number): number
  lua_xmove(from: Pointer, to: Pointer, count: number): void
  lua_type(L: Pointer, index: number): number
  lua_iscfunction(L: Pointer, index: number): number
  lua_isnumber(L: Pointer, index: number): number
  lua_tonumber(L: Pointer, index: number): number
  lua_toboolean(L: Pointer, index: number): number
  lua_tolstring(L: Pointer, index: number, length: Pointer): Pointer
  lua_tocfunction(L: Pointer, index: number): number
  lua_touserdata(L: Pointer, index: number): Pointer
  lua_topointer(L: Pointer, index: number): Pointer
  lua_objlen(L: Pointer, index: number): number
  lua_pushnil(L: Pointer): void
  lua_pushnumber(L: Pointer, value: number): void
  lua_pushboolean(L: Pointer, value: number): void
  lua_pushlstring(L: Pointer, at: Pointer, length: number): void
  lua_pushcclosure(L: Pointer, fn: number, upvalues: number): void
  lua_pushlightuserdata(L: Pointer, at: Pointer): void
  lua_createtable(L: Pointer, elements: number, fields: number): void
  lua_gettable(L: Pointer, index: number): void
  lua_getfield(L: Pointer, index: number, name: Pointer): void
  lua_rawget(L: Pointer, index: number): void
  lua_rawgeti(L: Pointer, index: number, n: number): void
  lua_settable(L: Pointer, index: number): void
  lua_rawset(L: Pointer, index: number): void
  lua_rawseti(L: Pointer, index: number, n: number): void
  lua_getmetatable(L: Pointer, index: number): number
  lua_setmetatable(L: Pointer, index: number): number
  lua_next(L: Pointer, index: number): number
  lua_concat(L: Pointer, count: number): void
  lua_pcall(L: Pointer, args: number, results: number, handler: number): number
  lua_error(L: Pointer): number
  luaL_loadbuffer(L: Pointer, at: Pointer, length: number, name: Pointer): number
  luaL_where(L: Pointer, level: number): void
  luaL_ref(L: Pointer, table: number): number
  luaL_unref(L: Pointer, table: number, ref: number): void
}

/** Thrown where C would longjmp: `lua_error` in whatever calls it. Nobody but `invoke_vii` may catch it. */
const LONGJMP = { longjmp: true }

/** What is thrown when the module ends itself: a panic of Lua. */
export class LuaLost extends Error {}

const PAGE = 64 * 1024

let compiled: WebAssembly.Module | undefined

/** The module is compiled once for the process; every interpreter is an instance of it. */
function compile(): WebAssembly.Module {
  if (compiled === undefined) {
    const require = createRequire(import.meta.url)
    compiled = new WebAssembly.Module(readFileSync(require.resolve('wasmoon-lua5.1/dist/liblua5.1.wasm')))
  }
  return compiled
}

/** A new instance. Its memory does not grow beyond `maxBytes`: what does not fit is Lua's "not enough memory". `grown` is called after
 *  the memory has grown: views of it have to be made anew. */
export function instantiate(maxBytes: number, grown: () => void): LuaApi {
  let api: LuaApi
  const module = compile()
  const env: Record<string, (...parameters: number[]) => unknown> = {
    exit(code) {
      throw new LuaLost(`Lua ended itself with code ${code}`)
    },
    /** A call that may end by `longjmp`. */
    invoke_vii(fn, a, b) {
      const stack = api.stackSave()
      try {
        api.__indirect_function_table.get(fn!)(a, b)
      } catch (error) {
        if (error !== LONGJMP) throw error
        api.stackRestore(stack)
        api.setThrew(1, 0)
      }
    },
    _emscripten_throw_longjmp() {
      throw LONGJMP
    },
    environ_sizes_get(count, size) {
      new Uint32Array(api.memory.buffer)[count! >> 2] = 0
      new Uint32Array(api.memory.buffer)[size! >> 2] = 0
      return 0
    },
    environ_get: () => 0,
    emscripten_memcpy_js(to, from, length) {
      new Uint8Array(api.memory.buffer).copyWithin(to!, from!, from! + length!)
    },
    emscripten_date_now: () => wallClock(),
    _emscripten_get_now_is_monotonic: () => 1,
    emscripten_get_now: () => monotonicMicros() / 1000,
    emscripten_resize_heap(wanted) {
      const { memory } = api
      const size = memory.buffer.byteLength
      if (wanted! > maxBytes) return 0
      const target = Math.min(maxBytes, Math.max(wanted!, size + (size >> 2)))
      memory.grow(Math.ceil((target - size) / PAGE))
      grown()
      return 1
    },
  }
  // Files, the environment, local time: the libraries that would ask for them are never opened.
  const refuse = (): never => {
    throw new LuaLost('Lua called into an operating system that it does not have')
  }
  const imports: Record<string, Record<string, () => unknown>> = {}
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {}
    imports[from][name] = env[name] ?? refuse
  }
  // The exports of this very file: their types are the C header's.
  api = new WebAssembly.Instance(module, imports).exports as unknown as LuaApi
  api.__wasm_call_ctors()
  return api
}
