/** `bit`: operations on 32-bit integers, with the results of LuaBitOp. */
import type { Lua, LuaFunction } from './lua.ts'
import type { Pointer } from './lua-module.ts'

/** Numbers are taken modulo 2^32; those with a fraction are rounded to the nearest, halves to even. */
function toBits(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor
  return rounded | 0
}

const rotate = (value: number, by: number): number => (by === 0 ? value : (value << by) | (value >>> (32 - by)))

const swap = (value: number): number =>
  (value >>> 24) | ((value >>> 8) & 0xff00) | ((value & 0xff00) << 8) | (value << 24)

const SHIFTS: Readonly<Record<string, (value: number, by: number) => number>> = {
  lshift: (value, by) => value << by,
  rshift: (value, by) => value >>> by,
  arshift: (value, by) => value >> by,
  rol: rotate,
  ror: (value, by) => rotate(value, (32 - by) & 31),
}

const COMBINATIONS: Readonly<Record<string, (a: number, b: number) => number>> = {
  band: (a, b) => a & b,
  bor: (a, b) => a | b,
  bxor: (a, b) => a ^ b,
}

const SINGLE: Readonly<Record<string, (value: number) => number>> = {
  tobit: (value) => value,
  bnot: (value) => ~value,
  bswap: swap,
}

/** The functions of the library. */
export function bitFunctions(lua: Lua): Record<string, LuaFunction> {
  const { api } = lua
  const argument = (L: Pointer, index: number): number => {
    if (api.lua_isnumber(L, index) === 0) lua.badArgument(L, index, 'number')
    return toBits(api.lua_tonumber(L, index))
  }
  const push = (L: Pointer, value: number): number => {
    api.lua_pushnumber(L, value | 0)
    return 1
  }
  const functions: Record<string, LuaFunction> = {
    tohex(L) {
      const value = argument(L, 1)
      const digits = api.lua_gettop(L) < 2 ? 8 : argument(L, 2)
      const text = (value >>> 0).toString(16).padStart(8, '0')
      const shown = text.slice(-Math.min(8, Math.abs(digits)) || 8)
      lua.pushText(L, digits === 0 ? '' : digits < 0 ? shown.toUpperCase() : shown)
      return 1
    },
  }
  for (const [name, act] of Object.entries(SINGLE)) functions[name] = (L) => push(L, act(argument(L, 1)))
  for (const [name, act] of Object.entries(SHIFTS))
    functions[name] = (L) => push(L, act(argument(L, 1), argument(L, 2) & 31))
  for (const [name, act] of Object.entries(COMBINATIONS))
    functions[name] = (L) => {
      let result = argument(L, 1)
      for (let i = api.lua_gettop(L); i > 1; i--) result = act(result, argument(L, i))
      return push(L, result)
    }
  return functions
}
