/** The table `redis` of scripts: one row for each of its functions. */
import { createHash } from 'node:crypto'
import { LOG_LEVELS, type LogLevel } from '../base/log.ts'
import { REDIS_VERSION } from '../server/version.ts'
import { FUNCTION, type Lua, NUMBER, STRING, TABLE } from './lua.ts'
import type { Pointer } from './lua-module.ts'
import { REPLICATE_ALL, type Run } from './run.ts'
import type { Fill } from './sandbox.ts'
import { pushError } from './to-lua.ts'

/** What the functions reach outside of Lua. */
export interface Outside {
  /** The run they are called by. */
  readonly run: Run
  call(lua: Lua, L: Pointer, raises: boolean): number
  /** Whether the user may call the command on the stack, or why there is no such command. */
  mayCall(lua: Lua, L: Pointer): boolean | string
  log(level: LogLevel, text: string): void
  /** Registers the function that the call's arguments describe, for the library that is being loaded. */
  registerFunction(lua: Lua, L: Pointer): void
}

/** A byte for each part of the version. */
const VERSION_NUMBER = REDIS_VERSION.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)

const CONSTANTS: Readonly<Record<string, number | string>> = {
  LOG_DEBUG: 0,
  LOG_VERBOSE: 1,
  LOG_NOTICE: 2,
  LOG_WARNING: 3,
  REDIS_VERSION,
  REDIS_VERSION_NUM: VERSION_NUMBER,
}

const REPLICATION: Readonly<Record<string, number>> = {
  REPL_NONE: 0,
  REPL_AOF: 1,
  REPL_SLAVE: 2,
  REPL_REPLICA: 2,
  REPL_ALL: REPLICATE_ALL,
}

type ApiFunction = (lua: Lua, L: Pointer, outside: () => Outside) => number

const COMMON: Readonly<Record<string, ApiFunction>> = {
  call: (lua, L, outside) => outside().call(lua, L, true),
  pcall: (lua, L, outside) => outside().call(lua, L, false),
  log,
  setresp(lua, L, outside) {
    if (lua.api.lua_gettop(L) !== 1) raiseError(lua, L, 'redis.setresp() requires one argument.')
    const version = lua.api.lua_tonumber(L, -1)
    if (version !== 2 && version !== 3) raiseError(lua, L, 'RESP version must be 2 or 3.')
    outside().run.resp3 = version === 3
    return 0
  },
  sha1hex(lua, L) {
    if (lua.api.lua_gettop(L) !== 1) raiseError(lua, L, 'wrong number of arguments')
    lua.pushText(
      L,
      createHash('sha1')
        .update(lua.read(L, 1) ?? '')
        .digest('hex'),
    )
    return 1
  },
  error_reply: (lua, L) => singleField(lua, L, 'err'),
  status_reply: (lua, L) => singleField(lua, L, 'ok'),
  set_repl(lua, L, outside) {
    if (lua.api.lua_gettop(L) !== 1) raiseError(lua, L, 'redis.set_repl() requires two arguments.')
    const flags = lua.api.lua_tonumber(L, -1)
    if ((flags & ~REPLICATE_ALL) !== 0)
      raiseError(lua, L, 'Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.')
    outside().run.replicate = flags
    return 0
  },
  acl_check_cmd(lua, L, outside) {
    const may = outside().mayCall(lua, L)
    if (typeof may === 'string') raiseError(lua, L, may)
    lua.api.lua_pushboolean(L, may ? 1 : 0)
    return 1
  },
}

/** What only scripts have: remains of the time before functions. */
const EVAL_ONLY: Readonly<Record<string, ApiFunction>> = {
  // Effects are replicated, always.
  replicate_commands: (lua, L) => push(lua, L, true),
  // There is no debugger.
  breakpoint: (lua, L) => push(lua, L, false),
  debug: () => 0,
}

const LOADING: Readonly<Record<string, ApiFunction>> = {
  log,
  register_function(lua, L, outside) {
    outside().registerFunction(lua, L)
    return 0
  },
}

/** The three forms of the table. `outside` is asked at each call. */
export function redisTables(outside: () => Outside): { evalRedis: Fill; functionRedis: Fill; loadingRedis: Fill } {
  return {
    evalRedis: table({ ...COMMON, ...EVAL_ONLY }, { ...CONSTANTS, ...REPLICATION }, outside),
    functionRedis: table(COMMON, { ...CONSTANTS, ...REPLICATION }, outside),
    loadingRedis: table(LOADING, CONSTANTS, outside),
  }
}

const table =
  (
    functions: Readonly<Record<string, ApiFunction>>,
    constants: Readonly<Record<string, number | string>>,
    outside: () => Outside,
  ): Fill =>
  (lua, L) => {
    const bound = Object.entries(functions).map(([name, fn]) => [name, (T: Pointer) => fn(lua, T, outside)] as const)
    lua.register(L, Object.fromEntries(bound))
    for (const [name, value] of Object.entries(constants)) {
      lua.pushText(L, name)
      if (typeof value === 'number') lua.api.lua_pushnumber(L, value)
      else lua.pushText(L, value)
      lua.api.lua_rawset(L, -3)
    }
  }

function push(lua: Lua, L: Pointer, value: boolean): number {
  lua.api.lua_pushboolean(L, value ? 1 : 0)
  return 1
}

/** Ends the script with an error of the node's own, a table. */
export function raiseError(lua: Lua, L: Pointer, text: string): never {
  pushError(lua, L, `ERR ${text}`, false)
  lua.api.lua_error(L)
  throw new Error('lua_error returned')
}

function log(lua: Lua, L: Pointer, outside: () => Outside): number {
  const { api } = lua
  const count = api.lua_gettop(L)
  if (count < 2) raiseError(lua, L, 'redis.log() requires two arguments or more.')
  if (api.lua_isnumber(L, 1) === 0) raiseError(lua, L, 'First argument must be a number (log level).')
  const level = LOG_LEVELS[Math.trunc(api.lua_tonumber(L, 1))]
  if (level === undefined) raiseError(lua, L, 'Invalid debug level.')
  const words: string[] = []
  for (let i = 2; i <= count; i++) {
    const word = lua.readText(L, i)
    if (word !== undefined) words.push(word)
  }
  outside().log(level, words.join(' '))
  return 0
}

/** `{err=...}` or `{ok=...}`. */
function singleField(lua: Lua, L: Pointer, name: 'err' | 'ok'): number {
  const { api } = lua
  if (api.lua_gettop(L) !== 1 || api.lua_type(L, 1) !== STRING) {
    pushError(lua, L, 'ERR wrong number or type of arguments', false)
    return 1
  }
  const text = lua.readText(L, 1)!
  if (name === 'err') pushError(lua, L, withCode(text.replace(/^-/, '')), false)
  else {
    api.lua_createtable(L, 0, 1)
    lua.pushText(L, name)
    lua.pushText(L, text)
    api.lua_rawset(L, -3)
  }
  return 1
}

/** An error of one word has no code yet. */
const withCode = (error: string): string => (error.includes(' ') ? error : `ERR ${error}`)

/** What `redis.register_function` was told: its named arguments, or name and function in order. */
export interface Registration {
  readonly name: string
  readonly description: string | undefined
  readonly flags: readonly string[]
  /** Stack index of the function. */
  readonly callback: number
}

/** Reads the arguments on the stack, with redis-server's complaints. */
export function readRegistration(lua: Lua, L: Pointer): Registration {
  const { api } = lua
  const count = api.lua_gettop(L)
  if (count < 1 || count > 2) raiseError(lua, L, 'wrong number of arguments to redis.register_function')
  if (count === 1) {
    if (api.lua_type(L, 1) !== TABLE)
      raiseError(
        lua,
        L,
        'calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).',
      )
    return readNamed(lua, L)
  }
  const name = nameAt(lua, L, 1)
  if (name === undefined) raiseError(lua, L, 'first argument to redis.register_function must be a string')
  if (api.lua_type(L, 2) !== FUNCTION)
    raiseError(lua, L, 'second argument to redis.register_function must be a function')
  return { name, description: undefined, flags: [], callback: 2 }
}

/** A string; a number counts as one. */
const nameAt = (lua: Lua, L: Pointer, index: number): string | undefined => {
  const type = lua.api.lua_type(L, index)
  return type === STRING || type === NUMBER ? lua.readText(L, index) : undefined
}

function readNamed(lua: Lua, L: Pointer): Registration {
  const { api } = lua
  let name: string | undefined
  let description: string | undefined
  let flags: string[] = []
  // The function is kept in place 2, under what lua_next needs.
  api.lua_pushnil(L)
  api.lua_pushnil(L)
  let hasCallback = false
  while (api.lua_next(L, 1) !== 0) {
    if (api.lua_type(L, -2) !== STRING)
      raiseError(lua, L, 'named argument key given to redis.register_function is not a string')
    const key = lua.readText(L, -2)!.toLowerCase()
    if (key === 'function_name') {
      name = nameAt(lua, L, -1)
      if (name === undefined)
        raiseError(lua, L, 'function_name argument given to redis.register_function must be a string')
    } else if (key === 'description') {
      description = nameAt(lua, L, -1)
      if (description === undefined)
        raiseError(lua, L, 'description argument given to redis.register_function must be a string')
    } else if (key === 'callback') {
      if (api.lua_type(L, -1) !== FUNCTION)
        raiseError(lua, L, 'callback argument given to redis.register_function must be a function')
      api.lua_pushvalue(L, -1)
      api.lua_replace(L, 2)
      hasCallback = true
    } else if (key === 'flags') {
      if (api.lua_type(L, -1) !== TABLE)
        raiseError(lua, L, 'flags argument to redis.register_function must be a table representing function flags')
      flags = readFlags(lua, L)
    } else raiseError(lua, L, 'unknown argument given to redis.register_function')
    api.lua_settop(L, -2)
  }
  if (name === undefined) raiseError(lua, L, 'redis.register_function must get a function name argument')
  if (!hasCallback) raiseError(lua, L, 'redis.register_function must get a callback argument')
  return { name, description, flags, callback: 2 }
}

/** The strings in the table on top of the stack. */
function readFlags(lua: Lua, L: Pointer): string[] {
  const { api } = lua
  const flags: string[] = []
  for (let i = 1; ; i++) {
    api.lua_rawgeti(L, -1, i)
    const type = api.lua_type(L, -1)
    const flag = type === STRING ? lua.readText(L, -1)! : undefined
    api.lua_settop(L, -2)
    if (type === 0) return flags
    if (flag === undefined) raiseError(lua, L, 'unknown flag given')
    flags.push(flag)
  }
}
