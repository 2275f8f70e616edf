/** What a directive is, and the scalar kinds: yes or no, integers, amounts of memory, choices, text.
 *  A kind reads the words after a directive's name; texts of refusals are those of redis-server 7.0. */
import { parseInt64 } from '../base/bytes.ts'
import { quote } from './quote.ts'

/** A value in the form the code uses, and in the form CONFIG GET prints. The text is kept because an integer of a
 *  directive may exceed 2^53: then the value is rounded and the text is exact. */
export interface Setting<T> {
  readonly value: T
  readonly text: string
}

/** A setting, or (as a string) why the words are refused. */
export type Reading<T> = Setting<T> | string

/** What some kinds must know besides the words. */
export interface ReadContext<T> {
  /** The value in force. */
  readonly current: T
  /** A file or the command line gave this directive before: `save` lines then add up. */
  readonly repeated: boolean
  /** Checks that a folder can be entered and makes it absolute; a string is why not, as strerror says it. */
  enter(folder: string): { readonly path: string } | string
}

/** A line CONFIG REWRITE may write. One that is not forced only takes the place of a line the file already has. */
export interface RewriteLine {
  readonly text: string
  readonly forced: boolean
}

export interface Traits {
  /** Other names of the directive, all answered by CONFIG GET. */
  readonly alias?: readonly string[]
  /** Only a file or the command line can set it. */
  readonly immutable?: boolean
  /** CONFIG SET needs enable-protected-configs. */
  readonly protected?: boolean
  /** CONFIG GET answers it by its exact name only. */
  readonly hidden?: boolean
  /** Its text does not say all, as it names what may change without it, a certificate's file for one. Set to the same text, it counts as
   *  changed. */
  readonly reference?: true
  /** Accepted for compatibility, and nothing here depends on it. A string says more than that in the log. */
  readonly idle?: true | string
  /** Why a text that is well-formed is refused nevertheless. */
  readonly check?: (text: string) => string | undefined
}

export interface Directive<T> extends Traits {
  /** As CONFIG GET prints it. */
  readonly default: string
  /** Takes several words; a single one is split at its blanks, so that CONFIG SET can give them all. */
  readonly words?: boolean
  read(words: readonly string[], context: ReadContext<T>): Reading<T>
  /** The value part of each line CONFIG REWRITE writes; without it one line with the text itself. */
  rewrite?(setting: Setting<T>): readonly RewriteLine[]
}

export type ValueOf<D> = D extends Directive<infer T> ? T : never

export const I32_MAX = 2n ** 31n - 1n
export const I32_MIN = -(2n ** 31n)
export const U32_MAX = 2n ** 32n - 1n
export const I64_MAX = 2n ** 63n - 1n
export const U64_MAX = 2n ** 64n - 1n

type Bound = number | bigint

const betweenText = (min: Bound, max: Bound): string => `argument must be between ${min} and ${max} inclusive`

/** A directive of one word that `parse` turns into a setting. */
function scalar<T>(defaultText: string, traits: Traits, parse: (word: string) => Reading<T>): Directive<T> {
  return {
    ...traits,
    default: defaultText,
    read(words) {
      const word = words[0]
      if (word === undefined || words.length > 1) return 'wrong number of arguments'
      const reading = parse(word)
      return typeof reading === 'string' ? reading : (traits.check?.(reading.text) ?? reading)
    },
  }
}

/** `yes` or `no`, in any case. */
export function bool(defaultText: 'yes' | 'no', traits: Traits = {}): Directive<boolean> {
  return scalar(defaultText, traits, (word) => {
    const text = word.toLowerCase()
    return text === 'yes' || text === 'no' ? { value: text === 'yes', text } : "argument must be 'yes' or 'no'"
  })
}

/** A decimal integer in [min, max]. */
export function integer(defaultText: string, min: Bound, max: Bound, traits: Traits = {}): Directive<number> {
  return scalar(defaultText, traits, (word) => {
    const n = parseInt64(Buffer.from(word))
    if (n === undefined) return "argument couldn't be parsed into an integer"
    return n < min || n > max ? betweenText(min, max) : { value: Number(n), text: String(n) }
  })
}

/** File permission bits: an octal number up to 777. */
export function octal(defaultText: string, traits: Traits = {}): Directive<number> {
  return scalar(defaultText, traits, (word) => {
    if (!/^[0-7]+$/.test(word)) return "argument couldn't be parsed as an octal number"
    const value = Number.parseInt(word, 8)
    return value > 0o777 ? betweenText(0, 777) : { value, text: value.toString(8) }
  })
}

const UNITS: Readonly<Record<string, bigint>> = {
  '': 1n,
  b: 1n,
  k: 1000n,
  kb: 1024n,
  m: 1000n ** 2n,
  mb: 1024n ** 2n,
  g: 1000n ** 3n,
  gb: 1024n ** 3n,
}

/** An amount like 100, 1k (1000) or 1kb (1024), as bytes; undefined when it is none. As on a real server an absent
 *  number is 0, one beyond 64 bits counts as the largest of them, and the product wraps around. */
export function parseMemory(word: string): bigint | undefined {
  const [, digits = '', unit = ''] = /^([0-9]{0,127})([a-z]*)$/.exec(word.toLowerCase()) ?? [undefined, '', '?']
  const factor = UNITS[unit]
  if (factor === undefined) return undefined
  const n = BigInt(digits)
  return BigInt.asUintN(64, (n > U64_MAX ? U64_MAX : n) * factor)
}

/** Bytes as CONFIG REWRITE writes them: in the largest unit that divides them. */
export function memoryText(bytes: bigint): string {
  const unit = (['gb', 'mb', 'kb'] as const).find((name) => bytes > 0n && bytes % UNITS[name]! === 0n)
  return unit === undefined ? String(bytes) : `${bytes / UNITS[unit]!}${unit}`
}

/** An amount of memory in bytes. */
export function memory(defaultText: string, min: Bound, max: Bound, traits: Traits = {}): Directive<number> {
  return {
    ...scalar<number>(defaultText, traits, (word) => {
      const bytes = parseMemory(word)
      if (bytes === undefined) return 'argument must be a memory value'
      return bytes < min || bytes > max ? betweenText(min, max) : { value: Number(bytes), text: String(bytes) }
    }),
    rewrite: ({ text }) => [{ text: memoryText(BigInt(text)), forced: text !== defaultText }],
  }
}

/** Bytes, or a share of another limit. */
export type MemoryOrPercent = { readonly bytes: number } | { readonly percent: number }

/** An amount of memory, or a percentage like `5%`. */
export function memoryOrPercent(defaultText: string, traits: Traits = {}): Directive<MemoryOrPercent> {
  const refusal = 'argument must be a memory or percent value'
  return {
    ...scalar<MemoryOrPercent>(defaultText, traits, (word) => {
      if (!word.endsWith('%')) {
        const bytes = parseMemory(word)
        return bytes === undefined ? refusal : { value: { bytes: Number(bytes) }, text: String(bytes) }
      }
      const percent = parseInt64(Buffer.from(word.slice(0, -1)))
      if (percent === undefined || percent < 0n) return refusal
      if (percent > 100n) return 'percentage argument must be less or equal to 100'
      return percent === 0n
        ? { value: { bytes: 0 }, text: '0' }
        : { value: { percent: Number(percent) }, text: `${percent}%` }
    }),
    rewrite: ({ text }) => [
      { text: text.endsWith('%') ? text : memoryText(BigInt(text)), forced: text !== defaultText },
    ],
  }
}

const oneOfText = (names: readonly string[]): string => `argument(s) must be one of the following: ${names.join(', ')}`

/** One of some names, in any case. `synonyms` are names that stand for another one. */
export function choice<const Name extends string>(
  names: readonly Name[],
  defaultText: NoInfer<Name>,
  traits: Traits & { readonly synonyms?: Readonly<Record<string, NoInfer<Name>>> } = {},
): Directive<Name> {
  return scalar(defaultText, traits, (word) => {
    const found = names.find((name) => name === word.toLowerCase())
    if (found === undefined) return oneOfText(names)
    const text = traits.synonyms?.[found] ?? found
    return { value: text, text }
  })
}

/** Any number of some names. The first of them says "none of the others" and goes away beside them. */
export function choices<const Name extends string>(
  names: readonly [Name, ...Name[]],
  traits: Traits = {},
): Directive<readonly Name[]> {
  return {
    ...traits,
    default: names[0],
    words: true,
    read(words) {
      const given = new Set(words.map((word) => word.toLowerCase()))
      if (given.size === 0 || [...given].some((word) => !names.some((name) => name === word))) return oneOfText(names)
      const value = names.slice(1).filter((name) => given.has(name))
      const text = value.length === 0 ? names[0] : value.join(' ')
      return traits.check?.(text) ?? { value, text }
    },
  }
}

/** Any text; '' is "not set". With `keepEmpty` a rewritten file says so, otherwise it leaves the directive out. */
export function text(
  defaultText = '',
  { keepEmpty = false, ...traits }: Traits & { readonly keepEmpty?: boolean } = {},
): Directive<string> {
  return {
    ...scalar<string>(defaultText, traits, (word) => ({ value: word, text: word })),
    rewrite: (setting) =>
      setting.text === '' && !keepEmpty ? [] : [{ text: quote(setting.text), forced: setting.text !== defaultText }],
  }
}
