/** The libraries a script finds: Lua's own, with another source of random numbers, and those redis-server adds. */
import type { Random } from '../base/random.ts'
import { bitFunctions } from './bit.ts'
import { cjsonFunctions } from './cjson.ts'
import { cmsgpackFunctions } from './cmsgpack.ts'
import type { Lua } from './lua.ts'
import { RandomSequence } from './random-sequence.ts'
import type { Fill } from './sandbox.ts'
import { structFunctions } from './struct.ts'

/** By global name. `random` seeds the scripts' random numbers. */
export function standardLibraries(random: Random): Readonly<Record<string, Fill>> {
  return {
    string: () => undefined,
    table: () => undefined,
    math: (lua, L) => lua.register(L, randomFunctions(lua, new RandomSequence(random.below(2 ** 32)))),
    bit: (lua, L) => lua.register(L, bitFunctions(lua)),
    struct: (lua, L) => lua.register(L, structFunctions(lua)),
    cjson: (lua, L) => cjsonFunctions(lua, L),
    cmsgpack: (lua, L) => cmsgpackFunctions(lua, L),
  }
}

/** As Lua's own, over a sequence that is the same on every machine for the same seed. */
function randomFunctions(lua: Lua, sequence: RandomSequence): Record<string, (L: number) => number> {
  const { api } = lua
  const integer = (L: number, index: number): number => {
    if (api.lua_isnumber(L, index) === 0) lua.badArgument(L, index, 'number')
    return Math.trunc(api.lua_tonumber(L, index))
  }
  return {
    random(L) {
      const drawn = sequence.next()
      const count = api.lua_gettop(L)
      if (count > 2) lua.raiseAt(L, 'wrong number of arguments')
      if (count === 0) {
        api.lua_pushnumber(L, drawn)
        return 1
      }
      const low = count === 1 ? 1 : integer(L, 1)
      const high = integer(L, count)
      if (low > high) lua.raiseAt(L, `bad argument #${count} to 'random' (interval is empty)`)
      api.lua_pushnumber(L, Math.floor(drawn * (high - low + 1)) + low)
      return 1
    },
    randomseed(L) {
      sequence.seed(integer(L, 1))
      return 0
    },
  }
}
