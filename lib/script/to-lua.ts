/** Replies become Lua values: the conversion rules of redis-server, from the bytes of a reply straight onto Lua's stack. */
import type { Lua } from './lua.ts'
import type { Pointer } from './lua-module.ts'

const CR = 0x0d
const MINUS = 0x2d

/** The position of the reader: one reply is read at a time. */
let at = 0

/** Pushes the reply at the beginning of `bytes`. */
export function pushReply(lua: Lua, L: Pointer, bytes: Buffer): void {
  at = 0
  push(lua, L, bytes)
}

/** The line up to the next CR LF begins at `at`; afterwards `at` is behind it. Returns where it ends. */
function line(bytes: Buffer): number {
  let end = at
  while (bytes[end] !== CR) end++
  return end
}

/** A number in decimal: a length, or an integer of up to 64 bits as the nearest double. */
function integer(bytes: Buffer): number {
  const end = line(bytes)
  const negative = bytes[at] === MINUS
  let value = 0
  for (let i = negative ? at + 1 : at; i < end; i++) value = value * 10 + (bytes[i]! - 0x30)
  // Digit by digit the sum is rounded more than once; the nearest double is wanted.
  if (value > Number.MAX_SAFE_INTEGER) value = Math.abs(Number(bytes.latin1Slice(at, end)))
  at = end + 2
  return negative ? -value : value
}

function text(bytes: Buffer): string {
  const end = line(bytes)
  const found = bytes.latin1Slice(at, end)
  at = end + 2
  return found
}

function push(lua: Lua, L: Pointer, bytes: Buffer): void {
  const { api } = lua
  const read = READERS[bytes[at++]!]
  if (read === undefined) throw new Error(`a reply begins with byte ${bytes[at - 1]}`)
  if (api.lua_checkstack(L, 6) === 0) lua.raise(L, 'lua stack limit reach when parsing redis.call reply')
  read(lua, L, bytes)
}

type Reader = (lua: Lua, L: Pointer, bytes: Buffer) => void

const pushBulk: Reader = (lua, L, bytes) => {
  const length = integer(bytes)
  if (length < 0) return lua.api.lua_pushboolean(L, 0)
  const start = at
  at = start + length + 2
  lua.push(L, bytes, start, start + length)
}

const pushArray: Reader = (lua, L, bytes) => {
  const { api } = lua
  const count = integer(bytes)
  if (count < 0) return api.lua_pushboolean(L, 0)
  api.lua_createtable(L, count, 0)
  for (let i = 1; i <= count; i++) {
    push(lua, L, bytes)
    api.lua_rawseti(L, -2, i)
  }
}

/** A table with one field, which `fill` pushes. */
function pushField(lua: Lua, L: Pointer, name: string, fill: () => void): void {
  lua.api.lua_createtable(L, 0, 1)
  lua.pushText(L, name)
  fill()
  lua.api.lua_rawset(L, -3)
}

const READERS: readonly (Reader | undefined)[] = readersByMark({
  $: pushBulk,
  '*': pushArray,
  '>': pushArray,
  ':': (lua, L, bytes) => lua.api.lua_pushnumber(L, integer(bytes)),
  '+': (lua, L, bytes) => pushField(lua, L, 'ok', () => lua.pushText(L, text(bytes))),
  '-': (lua, L, bytes) => pushError(lua, L, text(bytes), true),
  _: (lua, L, bytes) => {
    at = line(bytes) + 2
    lua.api.lua_pushnil(L)
  },
  '#': (lua, L, bytes) => lua.api.lua_pushboolean(L, text(bytes) === 't' ? 1 : 0),
  ',': (lua, L, bytes) => pushField(lua, L, 'double', () => lua.api.lua_pushnumber(L, double(text(bytes)))),
  '(': (lua, L, bytes) => pushField(lua, L, 'big_number', () => lua.pushText(L, text(bytes))),
  '=': (lua, L, bytes) =>
    pushField(lua, L, 'verbatim_string', () => {
      const length = integer(bytes)
      const start = at
      at = start + length + 2
      lua.api.lua_createtable(L, 0, 2)
      lua.pushText(L, 'string')
      lua.push(L, bytes, start + FORMAT, start + length)
      lua.api.lua_rawset(L, -3)
      lua.pushText(L, 'format')
      lua.push(L, bytes, start, start + FORMAT - 1)
      lua.api.lua_rawset(L, -3)
    }),
  '%': (lua, L, bytes) =>
    pushField(lua, L, 'map', () => {
      const pairs = integer(bytes)
      lua.api.lua_createtable(L, 0, pairs)
      for (let i = 0; i < pairs; i++) {
        push(lua, L, bytes)
        push(lua, L, bytes)
        lua.api.lua_rawset(L, -3)
      }
    }),
  '~': (lua, L, bytes) =>
    pushField(lua, L, 'set', () => {
      const count = integer(bytes)
      lua.api.lua_createtable(L, 0, count)
      for (let i = 0; i < count; i++) {
        push(lua, L, bytes)
        lua.api.lua_pushboolean(L, 1)
        lua.api.lua_rawset(L, -3)
      }
    }),
})

/** `txt:` before the text of a verbatim string. */
const FORMAT = 4

function readersByMark(byMark: Readonly<Record<string, Reader>>): readonly (Reader | undefined)[] {
  const readers = Array<Reader | undefined>(128).fill(undefined)
  for (const [mark, reader] of Object.entries(byMark)) readers[mark.charCodeAt(0)] = reader
  return readers
}

const double = (written: string): number =>
  written === 'inf' ? Number.POSITIVE_INFINITY : written === '-inf' ? Number.NEGATIVE_INFINITY : Number(written)

/** Pushes an error as scripts see it: a table with the field `err`, code and text. `counted`: INFO errorstats knows of it already, and
 *  it is not counted again when the script answers it. */
export function pushError(lua: Lua, L: Pointer, error: string, counted: boolean): void {
  lua.api.lua_createtable(L, 0, 2)
  lua.pushText(L, 'err')
  lua.pushText(L, error)
  lua.api.lua_rawset(L, -3)
  if (!counted) return
  lua.pushText(L, 'ignore_error_stats_update')
  lua.api.lua_pushboolean(L, 1)
  lua.api.lua_rawset(L, -3)
}
