/** JSON onto Lua's stack. The complaints are lua-cjson's: what was expected, which token stood there, and at which byte. */
import type { JsonSettings } from './cjson.ts'
import type { Lua } from './lua.ts'
import type { Pointer } from './lua-module.ts'

type Token =
  | 'T_OBJ_BEGIN'
  | 'T_OBJ_END'
  | 'T_ARR_BEGIN'
  | 'T_ARR_END'
  | 'T_STRING'
  | 'T_NUMBER'
  | 'T_BOOLEAN'
  | 'T_NULL'
  | 'T_COLON'
  | 'T_COMMA'
  | 'T_END'
  | 'T_ERROR'

const SINGLE: Readonly<Record<string, Token>> = {
  '{': 'T_OBJ_BEGIN',
  '}': 'T_OBJ_END',
  '[': 'T_ARR_BEGIN',
  ']': 'T_ARR_END',
  ':': 'T_COLON',
  ',': 'T_COMMA',
  '\0': 'T_END',
}

const BLANKS = /[ \t\n\r]*/y
const PLAIN_TEXT = /[^"\\\0]*/y
const DECIMAL = /[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y
/** What C's strtod reads, and JSON does not know. */
const ODD_NUMBER =
  /([+-]?)(?:0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)(?:[pP]([+-]?\d+))?|(inf)(?:inity)?|(nan)(?:\(\w*\))?)/iy
/** Where strtod is tried at all unless it is a plain number. */
const INVALID_NUMBER = /\+|-?(?:0[xX0-9]|inf|nan)/iy
const STARTS_NUMBER = /[-0-9]/

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  t: '\t',
  n: '\n',
  f: '\f',
  r: '\r',
}

export class JsonReader {
  readonly #lua: Lua
  readonly #L: Pointer
  readonly #text: string
  readonly #settings: JsonSettings
  #at = 0
  /** Where the token begins that was read last. */
  #start = 0
  /** Of a T_ERROR: what is wrong. */
  #error = ''
  /** Of a T_STRING and a T_NUMBER. */
  #string = ''
  #number = 0
  #depth = 0

  /** `text`: one character for each byte. */
  constructor(lua: Lua, L: Pointer, text: string, settings: JsonSettings) {
    this.#lua = lua
    this.#L = L
    this.#text = text
    this.#settings = settings
  }

  /** Pushes the one value of the text. */
  readAll(): void {
    const text = this.#text
    if (text.length >= 2 && (text[0] === '\0' || text[1] === '\0'))
      this.#lua.raiseAt(this.#L, 'JSON parser does not support UTF-16 or UTF-32')
    this.#value(this.#next())
    const token = this.#next()
    if (token !== 'T_END') this.#complain('the end', token)
  }

  #complain(expected: string, token: Token): never {
    const found = token === 'T_ERROR' ? this.#error : token
    this.#lua.raiseAt(this.#L, `Expected ${expected} but found ${found} at character ${this.#start + 1}`)
  }

  #value(token: Token): void {
    const { api } = this.#lua
    const L = this.#L
    switch (token) {
      case 'T_STRING':
        return this.#lua.pushText(L, this.#string)
      case 'T_NUMBER':
        return api.lua_pushnumber(L, this.#number)
      case 'T_BOOLEAN':
        return api.lua_pushboolean(L, this.#number)
      case 'T_NULL':
        return api.lua_pushlightuserdata(L, 0)
      case 'T_OBJ_BEGIN':
        return this.#object()
      case 'T_ARR_BEGIN':
        return this.#array()
      default:
        this.#complain('value', token)
    }
  }

  #descend(): void {
    const { api } = this.#lua
    if (++this.#depth <= this.#settings.decodeMaxDepth && api.lua_checkstack(this.#L, 3) !== 0) return
    this.#lua.raiseAt(this.#L, `Found too many nested data structures (${this.#depth}) at character ${this.#at}`)
  }

  #object(): void {
    const { api } = this.#lua
    const L = this.#L
    this.#descend()
    api.lua_createtable(L, 0, 0)
    let token = this.#next()
    while (token !== 'T_OBJ_END') {
      if (token !== 'T_STRING') this.#complain('object key string', token)
      this.#lua.pushText(L, this.#string)
      token = this.#next()
      if (token !== 'T_COLON') this.#complain('colon', token)
      this.#value(this.#next())
      api.lua_rawset(L, -3)
      token = this.#next()
      if (token === 'T_OBJ_END') break
      if (token !== 'T_COMMA') this.#complain('comma or object end', token)
      token = this.#next()
      if (token === 'T_OBJ_END') this.#complain('object key string', token)
    }
    this.#depth--
  }

  #array(): void {
    const { api } = this.#lua
    const L = this.#L
    this.#descend()
    api.lua_createtable(L, 0, 0)
    let token = this.#next()
    for (let i = 1; token !== 'T_ARR_END'; i++) {
      this.#value(token)
      api.lua_rawseti(L, -2, i)
      token = this.#next()
      if (token === 'T_ARR_END') break
      if (token !== 'T_COMMA') this.#complain('comma or array end', token)
      token = this.#next()
      if (token === 'T_ARR_END') this.#complain('value', token)
    }
    this.#depth--
  }

  #next(): Token {
    const text = this.#text
    this.#at += this.#match(BLANKS).length
    this.#start = this.#at
    const first = text[this.#at]
    if (first === undefined) return 'T_END'
    const single = SINGLE[first]
    if (single !== undefined) {
      if (single !== 'T_END') this.#at++
      return single
    }
    if (first === '"') return this.#quoted()
    if (STARTS_NUMBER.test(first)) {
      if (!this.#settings.decodeInvalidNumbers && this.#match(INVALID_NUMBER) !== '')
        return this.#fail('invalid number')
      return this.#numeric()
    }
    for (const [word, token, value] of WORDS)
      if (text.startsWith(word, this.#at)) {
        this.#at += word.length
        this.#number = value
        return token
      }
    if (this.#settings.decodeInvalidNumbers && this.#match(INVALID_NUMBER) !== '') return this.#numeric()
    return this.#fail('invalid token')
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    return pattern.exec(this.#text)?.[0] ?? ''
  }

  /** The token is none; the complaint is about this place. */
  #fail(error: string): Token {
    this.#start = this.#at
    this.#error = error
    return 'T_ERROR'
  }

  #numeric(): Token {
    ODD_NUMBER.lastIndex = this.#at
    const odd = ODD_NUMBER.exec(this.#text)
    const [whole = '', sign, integer = '', fraction = '', power = '0', infinite] = odd ?? []
    if (odd !== null && (integer + fraction !== '' || !/x/i.test(whole))) {
      const size =
        infinite !== undefined
          ? Number.POSITIVE_INFINITY
          : /^[+-]?nan/i.test(whole)
            ? Number.NaN
            : Number(BigInt(`0x${integer}${fraction}`)) * 2 ** (Number(power) - fraction.length * 4)
      this.#number = sign === '-' ? -size : size
      this.#at += whole.length
      return 'T_NUMBER'
    }
    const decimal = this.#match(DECIMAL)
    if (decimal === '') return this.#fail('invalid number')
    this.#number = Number(decimal)
    this.#at += decimal.length
    return 'T_NUMBER'
  }

  #quoted(): Token {
    const text = this.#text
    this.#at++
    let found = ''
    for (;;) {
      const plain = this.#match(PLAIN_TEXT)
      found += plain
      this.#at += plain.length
      const stop = text[this.#at]
      if (stop === '"') break
      if (stop !== '\\') return this.#fail('unexpected end of string')
      const letter = text[this.#at + 1] ?? '\0'
      if (letter === 'u') {
        const decoded = this.#unicode()
        if (decoded === undefined) return this.#fail('invalid unicode escape code')
        found += decoded
      } else {
        const meant = ESCAPES[letter]
        if (meant === undefined) return this.#fail('invalid escape code')
        found += meant
        this.#at += 2
      }
    }
    this.#at++
    this.#string = found
    return 'T_STRING'
  }

  /** `\uXXXX`, or two of them that are a pair of surrogates, as UTF-8. */
  #unicode(): string | undefined {
    const first = this.#hex(this.#at + 2)
    if (first === undefined || (first & 0xfc00) === 0xdc00) return undefined
    if ((first & 0xfc00) !== 0xd800) {
      this.#at += 6
      return utf8(first)
    }
    if (!this.#text.startsWith('\\u', this.#at + 6)) return undefined
    const second = this.#hex(this.#at + 8)
    if (second === undefined || (second & 0xfc00) !== 0xdc00) return undefined
    this.#at += 12
    return utf8(0x10000 + ((first & 0x3ff) << 10) + (second & 0x3ff))
  }

  #hex(at: number): number | undefined {
    const digits = this.#text.slice(at, at + 4)
    return /^[0-9a-fA-F]{4}$/.test(digits) ? Number.parseInt(digits, 16) : undefined
  }
}

/** With the value of a boolean. */
const WORDS: readonly (readonly [word: string, token: Token, value: number])[] = [
  ['true', 'T_BOOLEAN', 1],
  ['false', 'T_BOOLEAN', 0],
  ['null', 'T_NULL', 0],
]

/** The bytes of a character, one character for each. */
const utf8 = (codePoint: number): string => Buffer.from(String.fromCodePoint(codePoint)).latin1Slice()
