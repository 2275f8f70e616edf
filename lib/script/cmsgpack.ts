/** `cmsgpack`: Lua values as MessagePack. */
import { BOOLEAN, type Lua, type LuaFunction, NUMBER, STRING, TABLE } from './lua.ts'
import type { Pointer } from './lua-module.ts'

/** Tables within tables; what lies deeper is nil. */
const MAX_NESTING = 16
const NIL = 0xc0

const ABOUT: Readonly<Record<string, string>> = {
  _NAME: 'cmsgpack',
  _VERSION: 'lua-cmsgpack 0.4.0',
  _COPYRIGHT: 'Copyright (C) 2012, Salvatore Sanfilippo',
  _DESCRIPTION: 'MessagePack C implementation for Lua',
}

/** Fills the table on top of the stack. */
export function cmsgpackFunctions(lua: Lua, L: Pointer): void {
  for (const [name, text] of Object.entries(ABOUT)) {
    lua.pushText(L, name)
    lua.pushText(L, text)
    lua.api.lua_rawset(L, -3)
  }
  const functions: Record<string, LuaFunction> = {
    pack: (T) => pack(lua, T),
    unpack: (T) => unpackFrom(lua, T, 0, Number.POSITIVE_INFINITY, 0),
    unpack_one: (T) => unpackFrom(lua, T, 1, 1, integerAt(lua, T, 2, 0)),
    unpack_limit: (T) => unpackFrom(lua, T, 1, integerAt(lua, T, 2, undefined), integerAt(lua, T, 3, 0)),
  }
  lua.register(L, functions)
}

function integerAt(lua: Lua, L: Pointer, index: number, otherwise: number | undefined): number {
  if (otherwise !== undefined && lua.api.lua_type(L, index) <= 0) return otherwise
  if (lua.api.lua_isnumber(L, index) === 0) lua.badArgument(L, index, 'number')
  return Math.trunc(lua.api.lua_tonumber(L, index))
}

function pack(lua: Lua, L: Pointer): number {
  const count = lua.api.lua_gettop(L)
  if (count === 0) lua.complain(L, 0, 'MessagePack pack needs input.')
  const out = new Packed()
  for (let i = 1; i <= count; i++) {
    if (lua.api.lua_checkstack(L, 1) === 0) lua.raiseAt(L, 'stack overflow (in function mp_check)')
    lua.api.lua_pushvalue(L, i)
    packValue(lua, L, out, 0)
  }
  lua.push(L, out.bytes())
  return 1
}

/** Bytes that grow. */
class Packed {
  #buffer = Buffer.allocUnsafe(256)
  #at = 0

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#at)
  }

  room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes))
    this.#buffer.copy(larger, 0, 0, this.#at)
    this.#buffer = larger
  }

  /** `bytes` bytes, the most significant first; negative numbers in two's complement. */
  uint(value: number, bytes: number): void {
    this.room(bytes)
    if (bytes <= 4) {
      const bits = value < 0 ? value + 2 ** (bytes * 8) : value
      this.#at = this.#buffer.writeUIntBE(bits, this.#at, bytes)
    } else this.#at = this.#buffer.writeBigUInt64BE(BigInt.asUintN(64, BigInt(value)), this.#at)
  }

  double(value: number): void {
    const isFloat = Math.fround(value) === value
    this.uint(isFloat ? 0xca : 0xcb, 1)
    this.room(8)
    this.#at = isFloat ? this.#buffer.writeFloatBE(value, this.#at) : this.#buffer.writeDoubleBE(value, this.#at)
  }

  copy(from: Buffer, start: number, end: number): void {
    this.room(end - start)
    this.#at += from.copy(this.#buffer, this.#at, start, end)
  }

  /** A length in the shortest of the forms there are: in the code itself, or in so many bytes after it. */
  length(
    value: number,
    short: number,
    shortest: number,
    codes: readonly (readonly [code: number, bytes: number])[],
  ): void {
    if (value < shortest) return this.uint(short | value, 1)
    const [code, bytes] = codes.find(([, size]) => value < 2 ** (size * 8))!
    this.uint(code, 1)
    this.uint(value, bytes)
  }

  integer(value: number): void {
    if (value >= -32 && value <= 127) return this.uint(value, 1)
    const forms = value > 0 ? UNSIGNED : SIGNED
    const [code, bytes] = forms.find(([, size]) =>
      value > 0 ? value < 2 ** (size * 8) : value >= -(2 ** (size * 8 - 1)),
    )!
    this.uint(code, 1)
    this.uint(value, bytes)
  }
}

type Forms = readonly (readonly [code: number, bytes: number])[]

const UNSIGNED: Forms = [
  [0xcc, 1],
  [0xcd, 2],
  [0xce, 4],
  [0xcf, 8],
]
const SIGNED: Forms = [
  [0xd0, 1],
  [0xd1, 2],
  [0xd2, 4],
  [0xd3, 8],
]
const STRINGS: Forms = [
  [0xd9, 1],
  [0xda, 2],
  [0xdb, 4],
]
const ARRAYS: Forms = [
  [0xdc, 2],
  [0xdd, 4],
]
const MAPS: Forms = [
  [0xde, 2],
  [0xdf, 4],
]

/** Packs the value on top of the stack and removes it. */
function packValue(lua: Lua, L: Pointer, out: Packed, level: number): void {
  const { api } = lua
  const type = api.lua_type(L, -1)
  if (type === STRING) {
    const at = lua.string(L, -1)
    const length = lua.stringLength
    out.length(length, 0xa0, 32, STRINGS)
    out.copy(lua.bytes, at, at + length)
  } else if (type === BOOLEAN) out.uint(api.lua_toboolean(L, -1) !== 0 ? 0xc3 : 0xc2, 1)
  else if (type === NUMBER) packNumber(api.lua_tonumber(L, -1), out)
  else if (type === TABLE && level < MAX_NESTING) packTable(lua, L, out, level + 1)
  else out.uint(NIL, 1)
  api.lua_settop(L, -2)
}

function packNumber(value: number, out: Packed): void {
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 63) out.integer(value)
  else if (value === -(2 ** 63)) out.integer(value)
  else out.double(value)
}

function packTable(lua: Lua, L: Pointer, out: Packed, level: number): void {
  const { api } = lua
  if (api.lua_checkstack(L, 4) === 0) lua.raiseAt(L, 'stack overflow (in function mp_encode_lua_table)')
  const { count, isArray } = shape(lua, L)
  if (isArray) {
    out.length(count, 0x90, 16, ARRAYS)
    for (let i = 1; i <= count; i++) {
      api.lua_rawgeti(L, -1, i)
      packValue(lua, L, out, level)
    }
    return
  }
  out.length(count, 0x80, 16, MAPS)
  api.lua_pushnil(L)
  while (api.lua_next(L, -2) !== 0) {
    api.lua_pushvalue(L, -2)
    packValue(lua, L, out, level)
    packValue(lua, L, out, level)
  }
}

/** An array has keys from 1 to its length, and no others. */
function shape(lua: Lua, L: Pointer): { readonly count: number; readonly isArray: boolean } {
  const { api } = lua
  let count = 0
  let max = 0
  let isArray = true
  api.lua_pushnil(L)
  while (api.lua_next(L, -2) !== 0) {
    api.lua_settop(L, -2)
    count++
    if (!isArray) continue
    const key = api.lua_type(L, -1) === NUMBER ? api.lua_tonumber(L, -1) : 0
    if (key <= 0 || !Number.isInteger(key)) isArray = false
    max = Math.max(max, key)
  }
  return { count, isArray: isArray && max === count }
}

/** `results` 1: the place after what was unpacked (-1 at the end) comes before it. */
function unpackFrom(lua: Lua, L: Pointer, results: 0 | 1, limit: number, offset: number): number {
  const { api } = lua
  const data = lua.read(L, 1) ?? lua.badArgument(L, 1, 'string')
  if (offset < 0 || limit < 0)
    lua.raiseAt(L, `Invalid request to unpack with offset of ${offset} and limit of ${data.length}.`)
  if (offset > data.length) lua.raiseAt(L, `Start offset ${offset} greater than input length ${data.length}.`)
  api.lua_settop(L, 1)
  const reader = new Unpacker(lua, L, data, offset)
  let count = 0
  for (; reader.at < data.length && count < limit; count++) reader.value()
  if (results === 1) {
    api.lua_pushnumber(L, reader.at === data.length ? -1 : reader.at)
    api.lua_insert(L, 2)
  }
  return count + results
}

class Unpacker {
  readonly #lua: Lua
  readonly #L: Pointer
  readonly #data: Buffer
  at: number

  constructor(lua: Lua, L: Pointer, data: Buffer, at: number) {
    this.#lua = lua
    this.#L = L
    this.#data = data
    this.at = at
  }

  /** Pushes the next value. */
  value(): void {
    const { api } = this.#lua
    const L = this.#L
    if (api.lua_checkstack(L, 4) === 0)
      this.#lua.raiseAt(L, 'stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)')
    const code = this.#data[this.#take(1)]!
    if (code < 0x80) api.lua_pushnumber(L, code)
    else if (code >= 0xe0) api.lua_pushnumber(L, code - 256)
    else if (code < 0x90) this.#map(code & 15)
    else if (code < 0xa0) this.#array(code & 15)
    else if (code < 0xc0) this.#string(code & 31)
    else this.#coded(code)
  }

  #coded(code: number): void {
    const { api } = this.#lua
    const L = this.#L
    const data = this.#data
    const [form, bytes] = FORMS.get(code) ?? this.#lua.raiseAt(L, 'Bad data format in input.')
    if (form === 'nil') return api.lua_pushnil(L)
    if (form === 'true' || form === 'false') return api.lua_pushboolean(L, form === 'true' ? 1 : 0)
    const at = this.#take(bytes)
    if (form === 'float') return api.lua_pushnumber(L, bytes === 4 ? data.readFloatBE(at) : data.readDoubleBE(at))
    if (form === 'int')
      return api.lua_pushnumber(L, bytes === 8 ? Number(data.readBigInt64BE(at)) : data.readIntBE(at, bytes))
    const value = bytes === 8 ? Number(data.readBigUInt64BE(at)) : data.readUIntBE(at, bytes)
    if (form === 'uint') api.lua_pushnumber(L, value)
    else if (form === 'string') this.#string(value)
    else if (form === 'array') this.#array(value)
    else this.#map(value)
  }

  #string(length: number): void {
    const at = this.#take(length)
    this.#lua.push(this.#L, this.#data, at, at + length)
  }

  #array(length: number): void {
    const { api } = this.#lua
    api.lua_createtable(this.#L, 0, 0)
    for (let i = 1; i <= length; i++) {
      this.value()
      api.lua_rawseti(this.#L, -2, i)
    }
  }

  #map(pairs: number): void {
    const { api } = this.#lua
    api.lua_createtable(this.#L, 0, 0)
    for (let i = 0; i < pairs; i++) {
      this.value()
      this.value()
      api.lua_settable(this.#L, -3)
    }
  }

  #take(bytes: number): number {
    const { at } = this
    if (this.#data.length - at < bytes) this.#lua.raiseAt(this.#L, 'Missing bytes in input.')
    this.at += bytes
    return at
  }
}

type Form = 'nil' | 'true' | 'false' | 'float' | 'int' | 'uint' | 'string' | 'array' | 'map'

/** What a code stands for, and how many bytes of number follow it. */
const FORMS: ReadonlyMap<number, readonly [Form, number]> = new Map<number, readonly [Form, number]>([
  [0xc0, ['nil', 0]],
  [0xc2, ['false', 0]],
  [0xc3, ['true', 0]],
  [0xca, ['float', 4]],
  [0xcb, ['float', 8]],
  ...UNSIGNED.map(([code, bytes]) => [code, ['uint', bytes]] as const),
  ...SIGNED.map(([code, bytes]) => [code, ['int', bytes]] as const),
  ...STRINGS.map(([code, bytes]) => [code, ['string', bytes]] as const),
  ...ARRAYS.map(([code, bytes]) => [code, ['array', bytes]] as const),
  ...MAPS.map(([code, bytes]) => [code, ['map', bytes]] as const),
])
