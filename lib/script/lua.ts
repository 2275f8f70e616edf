/** One Lua: an instance of the module with its main state, and what makes its C API bearable from JavaScript: strings as bytes, functions
 *  in JavaScript, errors. Strings are bytes in both directions; nothing is ever decoded on the way. */
import { instantiate, type LuaApi, type Pointer } from './lua-module.ts'
import { asWasm } from './trampoline.ts'

export const REGISTRY = -10000
export const GLOBALS = -10002

/** Of `lua_type`. */
export const NIL = 0
export const BOOLEAN = 1
export const LIGHT_USERDATA = 2
export const NUMBER = 3
export const STRING = 4
export const TABLE = 5
export const FUNCTION = 6

/** Of `lua_resume` and `lua_pcall`. */
export const OK = 0
export const YIELD = 1
export const OUT_OF_MEMORY = 4

/** `lua_sethook`: after so many instructions. */
const MASK_COUNT = 8

/** A function Lua calls: arguments on the stack of `L`, the number of results is returned. It must not catch what the C API throws. */
export type LuaFunction = (L: Pointer) => number

/** Where a function of a script stands: chunk name ("@user_script") and line. */
export interface Place {
  readonly source: string
  readonly line: number
}

/** Strings up to this length pass through a place that is always there. */
const SCRATCH = 64 * 1024
/** A native copy costs a few hundred nanoseconds to call: below this length a loop is faster. */
const SHORT = 96
/** More than `sizeof(lua_Debug)`. */
const DEBUG_SIZE = 128
/** Offsets in `lua_Debug`. */
const DEBUG_NAME = 4
const DEBUG_WHAT = 12
const DEBUG_SOURCE = 16
const DEBUG_LINE = 20
/** Offsets in `lua_State`: C calls in progress, and how many of them there were when the coroutine was last resumed. */
const C_CALLS = 52
const BASE_C_CALLS = 54

export class Lua {
  readonly api: LuaApi
  /** The main state: it holds the globals and starts nothing. */
  readonly main: Pointer
  /** All memory. Made anew when it grows: read the field after each call of the API. */
  bytes: Buffer
  #view: DataView
  readonly #scratch: Pointer
  /** Where `lua_tolstring` leaves the length. */
  readonly #lengthAt: Pointer
  readonly #debug: Pointer
  readonly #texts = new Map<string, Pointer>()
  #hook = 0

  constructor(maxBytes: number) {
    this.api = instantiate(maxBytes, () => this.#renewViews())
    this.bytes = Buffer.from(this.api.memory.buffer)
    this.#view = new DataView(this.api.memory.buffer)
    this.#scratch = this.#allocate(SCRATCH)
    this.#lengthAt = this.#allocate(8)
    this.#debug = this.#allocate(DEBUG_SIZE)
    this.main = this.api.luaL_newstate()
  }

  /** Bytes of memory taken from the system. */
  get size(): number {
    return this.bytes.length
  }

  /** Bytes in use by Lua's values. */
  get used(): number {
    return this.api.lua_gc(this.main, 3, 0) * 1024 + this.api.lua_gc(this.main, 4, 0)
  }

  collect(): void {
    this.api.lua_gc(this.main, 2, 0)
  }

  /** Names that are used again and again, as C strings that stay. */
  text(text: string): Pointer {
    let at = this.#texts.get(text)
    if (at === undefined) {
      const bytes = Buffer.from(`${text}\0`, 'latin1')
      at = this.#allocate(bytes.length)
      this.bytes.set(bytes, at)
      this.#texts.set(text, at)
    }
    return at
  }

  /** Pushes the bytes from `start` to `end` of a buffer as a string. */
  push(L: Pointer, from: Uint8Array, start = 0, end = from.length): void {
    const length = end - start
    if (length > SCRATCH) return this.#pushLarge(L, from, start, end)
    const { bytes } = this
    let at = this.#scratch
    if (length > SHORT) bytes.set(from.subarray(start, end), at)
    else for (let i = start; i < end; i++) bytes[at++] = from[i]!
    this.api.lua_pushlstring(L, this.#scratch, length)
  }

  /** Pushes text, one byte for each character. */
  pushText(L: Pointer, text: string): void {
    if (text.length > SCRATCH) return this.push(L, Buffer.from(text, 'latin1'))
    const { bytes } = this
    if (text.length > SHORT) bytes.latin1Write(text, this.#scratch)
    else for (let i = 0; i < text.length; i++) bytes[this.#scratch + i] = text.charCodeAt(i)
    this.api.lua_pushlstring(L, this.#scratch, text.length)
  }

  #pushLarge(L: Pointer, from: Uint8Array, start: number, end: number): void {
    const at = this.api.malloc(end - start)
    if (at === 0) this.raise(L, 'not enough memory')
    this.bytes.set(from.subarray(start, end), at)
    this.api.lua_pushlstring(L, at, end - start)
    this.api.free(at)
  }

  /** The string at `index`: its address; its length is in `stringLength` afterwards. A number becomes a string where it stands. */
  string(L: Pointer, index: number): Pointer {
    return this.api.lua_tolstring(L, index, this.#lengthAt)
  }

  get stringLength(): number {
    return this.#view.getUint32(this.#lengthAt, true)
  }

  /** A copy of the string (or number) at `index`; undefined for other values. */
  read(L: Pointer, index: number): Buffer | undefined {
    const at = this.string(L, index)
    return at === 0 ? undefined : Buffer.from(this.bytes.subarray(at, at + this.stringLength))
  }

  /** The same as text, one character for each byte. */
  readText(L: Pointer, index: number): string | undefined {
    const at = this.string(L, index)
    return at === 0 ? undefined : this.bytes.latin1Slice(at, at + this.stringLength)
  }

  /** Function pointers for functions in JavaScript. */
  pointers(functions: readonly LuaFunction[]): number[] {
    return this.#toTable(asWasm(functions as ((L?: Pointer) => number)[], { parameters: 1, returns: true }))
  }

  #toTable(functions: readonly WebAssembly.ExportValue[]): number[] {
    const table = this.api.__indirect_function_table
    const first = table.grow(functions.length)
    functions.forEach((fn, i) => {
      table.set(first + i, fn)
    })
    return functions.map((_, i) => first + i)
  }

  /** Puts functions by name into the table on top of the stack. */
  register(L: Pointer, functions: Readonly<Record<string, LuaFunction>>): void {
    const names = Object.keys(functions)
    const pointers = this.pointers(Object.values(functions))
    names.forEach((name, i) => {
      this.pushText(L, name)
      this.api.lua_pushcclosure(L, pointers[i]!, 0)
      this.api.lua_rawset(L, -3)
    })
  }

  /** A function of the C API as something `register` takes. */
  call(pointer: number, L: Pointer): number {
    return this.api.__indirect_function_table.get(pointer)(L)
  }

  /** From now on `hook` is called by every thread of which `watch` was called, and by those it starts. */
  setHook(hook: (L: Pointer) => void): void {
    const [pointer] = this.#toTable(asWasm([(L) => hook(L!)], { parameters: 2, returns: false }))
    this.#hook = pointer!
  }

  /** Calls the hook after every so many instructions. */
  watch(L: Pointer, instructions: number): void {
    this.api.lua_sethook(L, this.#hook, MASK_COUNT, instructions)
  }

  /** Whether the thread may yield where it stands: Lua 5.1 cannot leave a C function, such as a metamethod's or a sort's caller, and
   *  come back to it. */
  mayYield(L: Pointer): boolean {
    return this.#view.getUint16(L + C_CALLS, true) === this.#view.getUint16(L + BASE_C_CALLS, true)
  }

  /** The innermost function of a script that the thread stands in, also after an error has ended it; C functions and our own Lua are not
   *  looked at. */
  place(L: Pointer): Place | undefined {
    const { api } = this
    for (let level = 0; level < MAX_LEVELS && api.lua_getstack(L, level, this.#debug) !== 0; level++) {
      api.lua_getinfo(L, this.text('Sl'), this.#debug)
      const what = this.#cText(this.#view.getUint32(this.#debug + DEBUG_WHAT, true))
      const source = this.#cText(this.#view.getUint32(this.#debug + DEBUG_SOURCE, true))
      if (what === 'C' || what === 'tail' || source === OUR_CHUNK) continue
      return { source, line: this.#view.getInt32(this.#debug + DEBUG_LINE, true) }
    }
    return undefined
  }

  #cText(at: Pointer): string {
    const { bytes } = this
    return bytes.latin1Slice(at, bytes.indexOf(0, at))
  }

  /** Raises an error with this text, as it is. */
  raise(L: Pointer, text: string): never {
    this.pushText(L, text)
    this.api.lua_error(L)
    throw new Error('lua_error returned')
  }

  /** Raises an error that begins with the caller's place ("user_script:1: "), as errors of C functions do. */
  raiseAt(L: Pointer, text: string): never {
    this.api.luaL_where(L, 1)
    this.pushText(L, text)
    this.api.lua_concat(L, 2)
    this.api.lua_error(L)
    throw new Error('lua_error returned')
  }

  /** Raises Lua's complaint about an argument of another type: "bad argument #1 to 'pairs' (table expected, got nil)". */
  badArgument(L: Pointer, index: number, expected: string): never {
    this.complain(L, index, `${expected} expected, got ${this.typeName(L, index)}`)
  }

  typeName(L: Pointer, index: number): string {
    return TYPE_NAMES[this.api.lua_type(L, index)] ?? 'no value'
  }

  /** Raises Lua's complaint about an argument, by the name under which the function was called. */
  complain(L: Pointer, index: number, text: string): never {
    const { api } = this
    api.lua_getstack(L, 0, this.#debug)
    api.lua_getinfo(L, this.text('n'), this.#debug)
    const at = this.#view.getUint32(this.#debug + DEBUG_NAME, true)
    this.raiseAt(L, `bad argument #${index} to '${at === 0 ? '?' : this.#cText(at)}' (${text})`)
  }

  #allocate(size: number): Pointer {
    const at = this.api.malloc(size)
    if (at === 0) throw new Error('no memory for an interpreter')
    return at
  }

  #renewViews(): void {
    this.bytes = Buffer.from(this.api.memory.buffer)
    this.#view = new DataView(this.api.memory.buffer)
  }
}

/** By `lua_type`. */
const TYPE_NAMES = [
  'nil',
  'boolean',
  'userdata',
  'number',
  'string',
  'table',
  'function',
  'userdata',
  'thread',
] as const

/** The chunk name of the prelude. */
export const OUR_CHUNK = '=rookery'
/** Deeper than any stack that is looked through. */
const MAX_LEVELS = 250
