/** `cjson`: Lua values as JSON, with the settings and limits of lua-cjson 2.1. */
import { formatGeneral } from '../base/double.ts'
import { JsonReader } from './cjson-decode.ts'
import { BOOLEAN, LIGHT_USERDATA, type Lua, type LuaFunction, NIL, NUMBER, STRING, TABLE } from './lua.ts'
import type { Pointer } from './lua-module.ts'

/** What scripts can set; it stays set, as in a real server. */
export interface JsonSettings {
  /** Objects instead of errors for arrays with many holes. */
  sparseConvert: boolean
  sparseRatio: number
  sparseSafe: number
  encodeMaxDepth: number
  decodeMaxDepth: number
  /** Infinities and NaN: refused, written as they are, or as null. */
  encodeInvalidNumbers: 'off' | 'on' | 'null'
  decodeInvalidNumbers: boolean
  keepBuffer: boolean
  /** Significant digits. */
  precision: number
}

const DEFAULTS: JsonSettings = {
  sparseConvert: false,
  sparseRatio: 2,
  sparseSafe: 10,
  encodeMaxDepth: 1000,
  decodeMaxDepth: 1000,
  encodeInvalidNumbers: 'off',
  decodeInvalidNumbers: true,
  keepBuffer: true,
  precision: 14,
}

const INT_MAX = 2 ** 31 - 1
const MAX_PRECISION = 14

/** Fills the table on top of the stack. */
export function cjsonFunctions(lua: Lua, L: Pointer): void {
  const { api } = lua
  const settings = { ...DEFAULTS }
  const functions: Record<string, LuaFunction> = {
    encode(T) {
      if (api.lua_gettop(T) !== 1) lua.complain(T, 1, 'expected 1 argument')
      const out: string[] = []
      encode(lua, T, settings, out, 0)
      lua.pushText(T, out.join(''))
      return 1
    },
    decode(T) {
      if (api.lua_gettop(T) !== 1) lua.complain(T, 1, 'expected 1 argument')
      new JsonReader(lua, T, lua.readText(T, 1) ?? lua.badArgument(T, 1, 'string'), settings).readAll()
      return 1
    },
    new(T) {
      api.lua_createtable(T, 0, 16)
      cjsonFunctions(lua, T)
      return 1
    },
    ...settingFunctions(lua, settings),
  }
  lua.register(L, functions)
  for (const [name, text] of Object.entries({ _NAME: 'cjson', _VERSION: '2.1.0' })) {
    lua.pushText(L, name)
    lua.pushText(L, text)
    api.lua_rawset(L, -3)
  }
  lua.pushText(L, 'null')
  api.lua_pushlightuserdata(L, 0)
  api.lua_rawset(L, -3)
}

/** Each takes its new values, if any, and answers those in force. */
function settingFunctions(lua: Lua, settings: JsonSettings): Record<string, LuaFunction> {
  const { api } = lua
  /** A number from 1 (or 0) to `max`. */
  const number =
    (name: 'encodeMaxDepth' | 'decodeMaxDepth' | 'precision', max: number): LuaFunction =>
    (L) => {
      fillUp(lua, L, 1)
      settings[name] = integerAt(lua, L, 1, settings[name], 1, max)
      api.lua_pushnumber(L, settings[name])
      return 1
    }
  const flag =
    (name: 'keepBuffer' | 'decodeInvalidNumbers'): LuaFunction =>
    (L) => {
      fillUp(lua, L, 1)
      settings[name] = choiceAt(lua, L, 1, settings[name], ['off', 'on']) === true
      api.lua_pushboolean(L, settings[name] ? 1 : 0)
      return 1
    }
  return {
    encode_max_depth: number('encodeMaxDepth', INT_MAX),
    decode_max_depth: number('decodeMaxDepth', INT_MAX),
    encode_number_precision: number('precision', MAX_PRECISION),
    encode_keep_buffer: flag('keepBuffer'),
    decode_invalid_numbers: flag('decodeInvalidNumbers'),
    encode_sparse_array(L) {
      fillUp(lua, L, 3)
      settings.sparseConvert = choiceAt(lua, L, 1, settings.sparseConvert, ['off', 'on']) === true
      settings.sparseRatio = integerAt(lua, L, 2, settings.sparseRatio, 0, INT_MAX)
      settings.sparseSafe = integerAt(lua, L, 3, settings.sparseSafe, 0, INT_MAX)
      api.lua_pushboolean(L, settings.sparseConvert ? 1 : 0)
      api.lua_pushnumber(L, settings.sparseRatio)
      api.lua_pushnumber(L, settings.sparseSafe)
      return 3
    },
    encode_invalid_numbers(L) {
      fillUp(lua, L, 1)
      const { encodeInvalidNumbers: old } = settings
      const chosen = choiceAt(lua, L, 1, old === 'null' ? 'null' : old === 'on', ['off', 'on', 'null'])
      settings.encodeInvalidNumbers = chosen === 'null' ? 'null' : chosen ? 'on' : 'off'
      if (chosen === 'null') lua.pushText(L, chosen)
      else api.lua_pushboolean(L, chosen ? 1 : 0)
      return 1
    },
  }
}

/** Arguments that were not given become nil. */
function fillUp(lua: Lua, L: Pointer, most: number): void {
  if (lua.api.lua_gettop(L) > most) lua.complain(L, most + 1, 'found too many arguments')
  while (lua.api.lua_gettop(L) < most) lua.api.lua_pushnil(L)
}

function integerAt(lua: Lua, L: Pointer, index: number, old: number, min: number, max: number): number {
  const { api } = lua
  if (api.lua_type(L, index) === NIL) return old
  if (api.lua_isnumber(L, index) === 0) lua.badArgument(L, index, 'number')
  const value = Math.trunc(api.lua_tonumber(L, index))
  if (value < min || value > max) lua.complain(L, index, `expected integer between ${min} and ${max}`)
  return value
}

/** A boolean, or its word. */
function choiceAt(
  lua: Lua,
  L: Pointer,
  index: number,
  old: boolean | 'null',
  words: readonly string[],
): boolean | 'null' {
  const type = lua.api.lua_type(L, index)
  if (type === NIL) return old
  if (type === BOOLEAN) return lua.api.lua_toboolean(L, index) !== 0
  const word = lua.readText(L, index) ?? lua.badArgument(L, index, 'string')
  if (!words.includes(word)) lua.complain(L, index, `invalid option '${word}'`)
  return word === 'null' ? 'null' : word === 'on'
}

/** Writes the value on top of the stack, which stays. */
function encode(lua: Lua, L: Pointer, settings: JsonSettings, out: string[], depth: number): void {
  const { api } = lua
  const type = api.lua_type(L, -1)
  if (type === STRING) out.push(quote(lua.readText(L, -1)!))
  else if (type === NUMBER) out.push(numberText(lua, L, api.lua_tonumber(L, -1), settings))
  else if (type === BOOLEAN) out.push(api.lua_toboolean(L, -1) !== 0 ? 'true' : 'false')
  else if (type === NIL) out.push('null')
  else if (type === TABLE) encodeTable(lua, L, settings, out, depth + 1)
  else if (type === LIGHT_USERDATA && api.lua_touserdata(L, -1) === 0) out.push('null')
  else refuse(lua, L, 'type not supported')
}

function encodeTable(lua: Lua, L: Pointer, settings: JsonSettings, out: string[], depth: number): void {
  const { api } = lua
  if (depth > settings.encodeMaxDepth || api.lua_checkstack(L, 3) === 0) {
    if (!settings.keepBuffer) out.length = 0
    lua.raiseAt(L, `Cannot serialise, excessive nesting (${depth})`)
  }
  const length = arrayLength(lua, L, settings)
  if (length > 0) {
    for (let i = 1; i <= length; i++) {
      out.push(i === 1 ? '[' : ',')
      api.lua_rawgeti(L, -1, i)
      encode(lua, L, settings, out, depth)
      api.lua_settop(L, -2)
    }
    out.push(']')
    return
  }
  let opening = '{'
  api.lua_pushnil(L)
  while (api.lua_next(L, -2) !== 0) {
    out.push(opening)
    opening = ','
    const type = api.lua_type(L, -2)
    if (type === NUMBER) out.push('"', numberText(lua, L, api.lua_tonumber(L, -2), settings), '":')
    else if (type === STRING) out.push(quote(lua.readText(L, -2)!), ':')
    else refuse(lua, L, 'table key must be a number or string', -2)
    encode(lua, L, settings, out, depth)
    api.lua_settop(L, -2)
  }
  out.push(opening === '{' ? '{}' : '}')
}

/** The length of the array that the table is; -1, or 0 when it is empty, for an object. */
function arrayLength(lua: Lua, L: Pointer, settings: JsonSettings): number {
  const { api } = lua
  let max = 0
  let items = 0
  api.lua_pushnil(L)
  while (api.lua_next(L, -2) !== 0) {
    const key = api.lua_type(L, -2) === NUMBER ? api.lua_tonumber(L, -2) : 0
    if (key < 1 || !Number.isInteger(key)) {
      api.lua_settop(L, -3)
      return -1
    }
    max = Math.max(max, key)
    items++
    api.lua_settop(L, -2)
  }
  const { sparseRatio, sparseSafe, sparseConvert } = settings
  if (sparseRatio > 0 && max > items * sparseRatio && max > sparseSafe) {
    if (!sparseConvert) refuse(lua, L, 'excessively sparse array')
    return -1
  }
  return max
}

function refuse(lua: Lua, L: Pointer, reason: string, index = -1): never {
  lua.raiseAt(L, `Cannot serialise ${lua.typeName(L, index)}: ${reason}`)
}

function numberText(lua: Lua, L: Pointer, value: number, settings: JsonSettings): string {
  if (Number.isFinite(value)) {
    const isPlain = Number.isInteger(value) && Math.abs(value) < 10 ** settings.precision && value !== 0
    return isPlain ? String(value) : formatGeneral(value, settings.precision)
  }
  if (settings.encodeInvalidNumbers === 'null') return 'null'
  if (settings.encodeInvalidNumbers === 'off') lua.raiseAt(L, 'Cannot serialise number: must not be NaN or Inf')
  return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf'
}

const ESCAPED = /["\\/\u0000-\u001f\u007f]/
const EACH_ESCAPED = /["\\/\u0000-\u001f\u007f]/g
const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '/': '\\/',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\f': '\\f',
  '\r': '\\r',
}

const quote = (text: string): string =>
  ESCAPED.test(text)
    ? `"${text.replace(EACH_ESCAPED, (one) => SHORT[one] ?? `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`
    : `"${text}"`
