/** `struct`: numbers and strings to and from packed bytes, as a C compiler on a 64-bit machine would lay them out. */
import type { Lua, LuaFunction } from './lua.ts'
import type { Pointer } from './lua-module.ts'

const MAX_INTEGER = 32
const MAX_ALIGNMENT = 8
const INT_MAX = 2 ** 31 - 1
const INT = 4

/** Sizes of the types, in bytes; `i`, `I` and `c` say theirs. */
const SIZES: Readonly<Record<string, number>> = { b: 1, B: 1, h: 2, H: 2, l: 8, L: 8, T: 8, f: 4, d: 8, x: 1 }
const INTEGERS = new Set(['b', 'B', 'h', 'H', 'l', 'L', 'T', 'i', 'I'])

/** One item of a format. */
interface Item {
  readonly option: string
  readonly size: number
  /** Bytes of padding before it. */
  readonly padding: number
  readonly little: boolean
}

/** Reads a format item by item; `position` is how many bytes lie before the next. */
class Format {
  readonly #lua: Lua
  readonly #L: Pointer
  readonly #text: string
  #at = 0
  #little = true
  #alignment = 1

  constructor(lua: Lua, L: Pointer) {
    this.#lua = lua
    this.#L = L
    this.#text = stringAt(lua, L, 1).latin1Slice()
  }

  /** Undefined at the end. Options that are about the items to come have size 0. */
  next(position: number): Item | undefined {
    const option = this.#text[this.#at]
    if (option === undefined || option === '\0') return undefined
    this.#at++
    const size = this.#size(option)
    const bound = Math.min(size, this.#alignment)
    const padding = size === 0 || option === 'c' ? 0 : (bound - (position & (bound - 1))) & (bound - 1)
    return { option, size, padding, little: this.#little }
  }

  /** Obeys an option that is no item. */
  control(option: string): void {
    if (option === ' ') return
    if (option === '>' || option === '<') {
      this.#little = option === '<'
      return
    }
    if (option !== '!') this.#lua.complain(this.#L, 1, `invalid format option '${option}'`)
    const alignment = this.#number(MAX_ALIGNMENT)
    if (alignment <= 0 || (alignment & (alignment - 1)) !== 0)
      this.#lua.raiseAt(this.#L, `alignment ${alignment} is not a power of 2`)
    this.#alignment = alignment
  }

  #size(option: string): number {
    if (option === 'c') return this.#number(1)
    if (option !== 'i' && option !== 'I') return SIZES[option] ?? 0
    const size = this.#number(INT)
    if (size > MAX_INTEGER) this.#lua.raiseAt(this.#L, `integral size ${size} is larger than limit of ${MAX_INTEGER}`)
    return size
  }

  /** The digits that follow, or what is meant without any. */
  #number(otherwise: number): number {
    const digits = /^\d*/.exec(this.#text.slice(this.#at))![0]
    this.#at += digits.length
    if (digits === '') return otherwise
    if (Number(digits) > INT_MAX) this.#lua.raiseAt(this.#L, 'integral size overflow')
    return Number(digits)
  }
}

/** The functions of the library. */
export function structFunctions(lua: Lua): Record<string, LuaFunction> {
  return {
    pack: (L) => pack(lua, L),
    unpack: (L) => unpack(lua, L),
    size: (L) => sizeOf(lua, L),
  }
}

function pack(lua: Lua, L: Pointer): number {
  const format = new Format(lua, L)
  // The original keeps its result above the arguments, and so calls the first that is missing "nil".
  lua.api.lua_pushnil(L)
  const parts: Buffer[] = []
  let total = 0
  let argument = 2
  const add = (bytes: Buffer): void => {
    parts.push(bytes)
    total += bytes.length
  }
  for (let item = format.next(0); item !== undefined; item = format.next(total)) {
    const { option, size, padding, little } = item
    add(Buffer.alloc(padding))
    if (INTEGERS.has(option)) add(integerBytes(numberAt(lua, L, argument++), size, little))
    else if (option === 'x') add(Buffer.alloc(1))
    else if (option === 'f' || option === 'd') add(floatBytes(numberAt(lua, L, argument++), size, little))
    else if (option === 'c' || option === 's') {
      const text = stringAt(lua, L, argument++)
      if (text.length < size) lua.complain(L, argument, 'string too short')
      add(size === 0 ? text : text.subarray(0, size))
      if (option === 's') add(Buffer.alloc(1))
    } else format.control(option)
  }
  lua.push(L, Buffer.concat(parts))
  return 1
}

function unpack(lua: Lua, L: Pointer): number {
  const { api } = lua
  const format = new Format(lua, L)
  const data = stringAt(lua, L, 2)
  const first = api.lua_gettop(L) < 3 ? 1 : Math.trunc(numberAt(lua, L, 3))
  if (first <= 0) lua.complain(L, 3, 'offset must be 1 or greater')
  let at = first - 1
  let count = 0
  const reserve = (size: number): void => {
    if (size > data.length || at > data.length - size) lua.complain(L, 2, 'data string too short')
  }
  for (let item = format.next(at); item !== undefined; item = format.next(at)) {
    const { option, padding, little } = item
    let { size } = item
    at += padding
    reserve(size)
    if (api.lua_checkstack(L, 2) === 0) lua.raiseAt(L, 'stack overflow (too many results)')
    if (INTEGERS.has(option)) {
      api.lua_pushnumber(L, integerFrom(data.subarray(at, at + size), little, option >= 'a'))
      count++
    } else if (option === 'f' || option === 'd') {
      api.lua_pushnumber(L, floatFrom(data.subarray(at, at + size), little))
      count++
    } else if (option === 'c') {
      if (size === 0) {
        if (count === 0 || api.lua_isnumber(L, -1) === 0) lua.raiseAt(L, "format 'c0' needs a previous size")
        size = api.lua_tonumber(L, -1)
        api.lua_settop(L, -2)
        count--
        reserve(size)
      }
      lua.push(L, data, at, at + size)
      count++
    } else if (option === 's') {
      const end = data.indexOf(0, at)
      if (end < 0) lua.raiseAt(L, 'unfinished string in data')
      lua.push(L, data, at, end)
      size = end - at + 1
      count++
    } else if (option !== 'x') format.control(option)
    at += size
  }
  api.lua_pushnumber(L, at + 1)
  return count + 1
}

function sizeOf(lua: Lua, L: Pointer): number {
  const format = new Format(lua, L)
  let at = 0
  for (let item = format.next(at); item !== undefined; item = format.next(at)) {
    const { option, size, padding } = item
    if (option === 's') lua.complain(L, 1, "option 's' has no fixed size")
    if (option === 'c' && size === 0) lua.complain(L, 1, "option 'c0' has no fixed size")
    if (!/^[0-9A-Za-z]$/.test(option)) format.control(option)
    at += padding + size
  }
  lua.api.lua_pushnumber(L, at)
  return 1
}

function stringAt(lua: Lua, L: Pointer, index: number): Buffer {
  return lua.read(L, index) ?? lua.badArgument(L, index, 'string')
}

function numberAt(lua: Lua, L: Pointer, index: number): number {
  if (lua.api.lua_isnumber(L, index) === 0) lua.badArgument(L, index, 'number')
  return lua.api.lua_tonumber(L, index)
}

const BITS = 64
const BEYOND = -(2n ** 63n)

/** C's conversion to a 64-bit integer; what is out of range becomes what the hardware makes of it. */
function toInt64(value: number): bigint {
  if (Number.isNaN(value) || value >= 2 ** BITS || value < -(2 ** (BITS - 1))) return BEYOND
  return BigInt(Math.trunc(value))
}

function integerBytes(value: number, size: number, little: boolean): Buffer {
  const bytes = Buffer.alloc(size)
  let rest = BigInt.asUintN(BITS, toInt64(value))
  for (let i = 0; i < size; i++) {
    bytes[little ? i : size - 1 - i] = Number(rest & 0xffn)
    rest >>= 8n
  }
  return bytes
}

function integerFrom(bytes: Buffer, little: boolean, signed: boolean): number {
  let value = 0n
  const { length } = bytes
  for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[little ? i : length - 1 - i]!)
  value = BigInt.asUintN(BITS, value)
  if (!signed) return Number(value)
  return Number(BigInt.asIntN(Math.min(BITS, length * 8), value))
}

function floatBytes(value: number, size: number, little: boolean): Buffer {
  const bytes = Buffer.alloc(size)
  const view = new DataView(bytes.buffer, bytes.byteOffset, size)
  if (size === 4) view.setFloat32(0, value, little)
  else view.setFloat64(0, value, little)
  return bytes
}

function floatFrom(bytes: Buffer, little: boolean): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return bytes.length === 4 ? view.getFloat32(0, little) : view.getFloat64(0, little)
}
