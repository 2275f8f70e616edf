/** Lua values become replies: the conversion rules of redis-server, from Lua's stack straight into a reply. */
import { formatDouble } from '../base/double.ts'
import type { Reply } from '../resp/reply.ts'
import { BOOLEAN, type Lua, NIL, NUMBER, STRING, TABLE } from './lua.ts'
import type { Pointer } from './lua-module.ts'

/** What writing a value needs to know. */
export interface Target {
  readonly reply: Reply
  /** The script has called `redis.setresp(3)`: booleans are booleans, if the client understands them. */
  readonly resp3: boolean
  /** An error among the values. `counted`: INFO errorstats has it already. */
  error(text: string, counted: boolean): void
}

const INT64_LIMIT = 2 ** 63
/** What C's cast of a double beyond the range gives on the machines Redis is used on. */
const OUT_OF_RANGE = -(2n ** 63n)

/** Writes the value on top of the stack and removes it. */
export function replyValue(lua: Lua, L: Pointer, to: Target): void {
  const { api } = lua
  const { reply } = to
  if (api.lua_checkstack(L, 4) === 0) {
    to.error('ERR reached lua stack limit', false)
    return api.lua_settop(L, -2)
  }
  switch (api.lua_type(L, -1)) {
    case STRING: {
      const at = lua.string(L, -1)
      reply.bulkRange(lua.bytes, at, at + lua.stringLength)
      break
    }
    case NUMBER:
      replyInteger(reply, api.lua_tonumber(L, -1))
      break
    case BOOLEAN:
      if (to.resp3) reply.boolean(api.lua_toboolean(L, -1) !== 0)
      else if (api.lua_toboolean(L, -1) !== 0) reply.integer(1)
      else reply.nil()
      break
    case TABLE:
      replyTable(lua, L, to)
      break
    default:
      reply.nil()
  }
  api.lua_settop(L, -2)
}

/** Numbers lose their fraction. */
function replyInteger(reply: Reply, value: number): void {
  const whole = Math.trunc(value)
  if (Number.isSafeInteger(whole)) reply.integer(whole)
  else if (Math.abs(whole) < INT64_LIMIT) reply.integer(BigInt(whole))
  else reply.integer(OUT_OF_RANGE)
}

/** A table is what its first known field says, or an array. */
function replyTable(lua: Lua, L: Pointer, to: Target): void {
  const { api } = lua
  for (const { name, type, write } of FIELDS) {
    lua.pushText(L, name)
    api.lua_rawget(L, -2)
    const found = api.lua_type(L, -1)
    if (found === type) {
      write(lua, L, to)
      return api.lua_settop(L, -2)
    }
    api.lua_settop(L, -2)
  }
  replyArray(lua, L, to)
}

/** The elements up to the first nil. */
function replyArray(lua: Lua, L: Pointer, to: Target): void {
  const { api } = lua
  const mark = to.reply.length
  let count = 0
  for (;;) {
    api.lua_rawgeti(L, -1, count + 1)
    if (api.lua_type(L, -1) === NIL) break
    replyValue(lua, L, to)
    count++
  }
  api.lua_settop(L, -2)
  to.reply.arrayFrom(mark, count)
}

interface Field {
  readonly name: string
  /** Of the field's value. */
  readonly type: number
  /** Writes the reply; the field's value is on top of the stack, the table below it, and both stay. */
  readonly write: (lua: Lua, L: Pointer, to: Target) => void
}

const FIELDS: readonly Field[] = [
  {
    name: 'err',
    type: STRING,
    write(lua, L, to) {
      lua.pushText(L, 'ignore_error_stats_update')
      lua.api.lua_rawget(L, -3)
      const counted = lua.api.lua_toboolean(L, -1) !== 0
      lua.api.lua_settop(L, -2)
      to.error(lua.readText(L, -1)!, counted)
    },
  },
  {
    name: 'ok',
    type: STRING,
    write: (lua, L, { reply }) => reply.raw(Buffer.from(`+${oneLine(lua, L)}\r\n`, 'latin1')),
  },
  {
    name: 'double',
    type: NUMBER,
    write: (lua, L, { reply }) => reply.double(formatDouble(lua.api.lua_tonumber(L, -1))),
  },
  { name: 'map', type: TABLE, write: replyMap },
  { name: 'set', type: TABLE, write: replySet },
  {
    name: 'big_number',
    type: STRING,
    write(lua, L, { reply }) {
      if (reply.resp3) reply.raw(Buffer.from(`(${oneLine(lua, L)}\r\n`, 'latin1'))
      else reply.bulk(Buffer.from(oneLine(lua, L), 'latin1'))
    },
  },
  { name: 'verbatim_string', type: TABLE, write: replyVerbatim },
]

const oneLine = (lua: Lua, L: Pointer): string => lua.readText(L, -1)!.replace(/[\r\n]/g, ' ')

function replyMap(lua: Lua, L: Pointer, to: Target): void {
  to.reply.map(fieldCount(lua, L))
  lua.api.lua_pushnil(L)
  while (lua.api.lua_next(L, -2) !== 0) {
    // Written from a copy: a number that is read as a string would become one in the table, and confuse lua_next.
    lua.api.lua_pushvalue(L, -2)
    replyValue(lua, L, to)
    replyValue(lua, L, to)
  }
}

function replySet(lua: Lua, L: Pointer, to: Target): void {
  to.reply.set(fieldCount(lua, L))
  lua.api.lua_pushnil(L)
  while (lua.api.lua_next(L, -2) !== 0) {
    lua.api.lua_settop(L, -2)
    lua.api.lua_pushvalue(L, -1)
    replyValue(lua, L, to)
  }
}

function fieldCount(lua: Lua, L: Pointer): number {
  let count = 0
  lua.api.lua_pushnil(L)
  while (lua.api.lua_next(L, -2) !== 0) {
    lua.api.lua_settop(L, -2)
    count++
  }
  return count
}

function replyVerbatim(lua: Lua, L: Pointer, { reply }: Target): void {
  const read = (name: string): Buffer | undefined => {
    lua.pushText(L, name)
    lua.api.lua_rawget(L, -2)
    const bytes = lua.api.lua_type(L, -1) === STRING ? lua.read(L, -1) : undefined
    lua.api.lua_settop(L, -2)
    return bytes
  }
  const text = read('string')
  const format = read('format')
  if (text === undefined || format === undefined) return reply.nil()
  if (!reply.resp3) return reply.bulk(text)
  const mark = Buffer.concat([format, Buffer.from('   ')]).subarray(0, 3)
  reply.raw(Buffer.concat([Buffer.from(`=${text.length + 4}\r\n`), mark, Buffer.from(':'), text, Buffer.from('\r\n')]))
}
