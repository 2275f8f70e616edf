/** The kinds of single directives whose value has parts: snapshot rules, buffer limits, event classes, addresses, folders. */
import { parseInteger } from '../base/bytes.ts'
import { type Directive, memoryText, parseMemory, type RewriteLine, type Traits } from './directive.ts'
import { quote } from './quote.ts'

/** Save after `seconds` if at least `changes` keys changed. */
export interface SaveRule {
  readonly seconds: number
  readonly changes: number
}

/** A decimal integer of a C int or long as far as a number is exact; undefined for anything else. */
const decimal = (word: string): number | undefined => parseInteger(Buffer.from(word))

const saveText = (rules: readonly SaveRule[]): string => rules.map((r) => `${r.seconds} ${r.changes}`).join(' ')

/** `save <seconds> <changes> ...`, and `save ""` for none. The first line of a file replaces the default, further ones add. */
export function saveRules(defaultText: string, traits: Traits = {}): Directive<readonly SaveRule[]> {
  return {
    ...traits,
    default: defaultText,
    words: true,
    read(words, { current, repeated }) {
      if (words.length === 0) return { value: [], text: '' }
      const rules: SaveRule[] = []
      for (let i = 0; i < words.length; i += 2) {
        const seconds = decimal(words[i]!)
        const changes = decimal(words[i + 1] ?? '')
        if (seconds === undefined || changes === undefined || seconds < 1 || changes < 0)
          return 'Invalid save parameters'
        rules.push({ seconds, changes })
      }
      const value = repeated ? [...current, ...rules] : rules
      return { value, text: saveText(value) }
    },
    rewrite({ value, text }) {
      const forced = text !== defaultText
      if (value.length === 0) return [{ text: '""', forced }]
      return value.map((rule) => ({ text: saveText([rule]), forced }))
    },
  }
}

/** When a client that does not read its replies is dropped: at `hard` bytes, or after `softSeconds` above `soft` bytes. */
export interface BufferLimit {
  readonly hard: number
  readonly soft: number
  readonly softSeconds: number
}
const CLASSES = ['normal', 'replica', 'pubsub'] as const
export type ClientClass = (typeof CLASSES)[number]
export type BufferLimits = Readonly<Record<ClientClass, BufferLimit>>

const limitText = (limit: BufferLimit): string => `${limit.hard} ${limit.soft} ${limit.softSeconds}`
/** CONFIG GET still says "slave"; both words are read. */
const limitsText = (limits: BufferLimits): string =>
  CLASSES.map((name) => `${name === 'replica' ? 'slave' : name} ${limitText(limits[name])}`).join(' ')

/** `client-output-buffer-limit <class> <hard> <soft> <seconds> ...`: classes that are not named keep their limits. */
export function bufferLimits(defaults: BufferLimits, traits: Traits = {}): Directive<BufferLimits> {
  return {
    ...traits,
    default: limitsText(defaults),
    words: true,
    read(words, { current }) {
      if (words.length % 4 !== 0) return 'Wrong number of arguments in buffer limit configuration.'
      const limits: Record<ClientClass, BufferLimit> = { ...current }
      for (let i = 0; i < words.length; i += 4) {
        const word = words[i]!.toLowerCase()
        const name = CLASSES.find((known) => known === (word === 'slave' ? 'replica' : word))
        if (name === undefined) return 'Invalid client class specified in buffer limit configuration.'
        const hard = parseMemory(words[i + 1]!)
        const soft = parseMemory(words[i + 2]!)
        const softSeconds = decimal(words[i + 3]!)
        if (hard === undefined || soft === undefined || softSeconds === undefined || softSeconds < 0)
          return 'Error in hard, soft or soft_seconds setting in buffer limit configuration.'
        limits[name] = { hard: Number(hard), soft: Number(soft), softSeconds }
      }
      return { value: limits, text: limitsText(limits) }
    },
    rewrite: ({ value }) =>
      CLASSES.map((name): RewriteLine => {
        const { hard, soft, softSeconds } = value[name]
        const text = `${name} ${memoryText(BigInt(hard))} ${memoryText(BigInt(soft))} ${softSeconds}`
        return { text, forced: limitText(value[name]) !== limitText(defaults[name]) }
      }),
  }
}

/** Event classes in the order in which CONFIG GET prints them; those before K make up `A`. */
const EVENT_CLASSES = 'g$lshzxetd'

/** Keyspace event classes, a set of letters. `A` stands for all but K, E, m and n. */
export function eventClasses(traits: Traits = {}): Directive<ReadonlySet<string>> {
  return {
    ...traits,
    // AKE and AKEn are both shown as AKE, by redis-server too.
    reference: true,
    default: '',
    read(words) {
      const [word] = words
      if (word === undefined || words.length > 1) return 'wrong number of arguments'
      if (/[^Ag$lshzxeKEtmdn]/.test(word)) return "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."
      const value = new Set(word.replaceAll('A', () => EVENT_CLASSES))
      const all = [...EVENT_CLASSES].every((letter) => value.has(letter))
      const shown = all ? ['A', 'K', 'E', 'm'] : [...EVENT_CLASSES, 'K', 'E', 'n', 'm']
      const text = shown.filter((letter) => letter === 'A' || value.has(letter)).join('')
      return { value, text }
    },
    rewrite: ({ text }) => [{ text: quote(text), forced: text !== '' }],
  }
}

/** A fixed number of integers in [min, max]. */
export function integers(
  defaultText: string,
  min: number,
  max: number,
  refusal: string,
  traits: Traits = {},
): Directive<readonly number[]> {
  const count = defaultText.split(' ').length
  return {
    ...traits,
    default: defaultText,
    words: true,
    read(words) {
      if (words.length !== count) return 'wrong number of arguments'
      const value: number[] = []
      for (const word of words) {
        const n = decimal(word)
        if (n === undefined || n < min || n > max) return refusal
        value.push(n)
      }
      return { value, text: value.join(' ') }
    },
  }
}

/** Percentiles in [0, 100], as many as one likes. */
export function percentiles(defaultText: string, traits: Traits = {}): Directive<readonly number[]> {
  return {
    ...traits,
    default: defaultText,
    words: true,
    read(words) {
      const value: number[] = []
      for (const word of words) {
        const n = /^[-+]?inf(inity)?$/i.test(word) ? Infinity : /^\S+$/.test(word) ? Number(word) : Number.NaN
        if (Number.isNaN(n)) return 'Invalid latency-tracking-info-percentiles parameters'
        if (n < 0 || n > 100) return 'latency-tracking-info-percentiles parameters should sit between [0.0,100.0]'
        value.push(n)
      }
      // Six decimals at most, without the zeros at the end.
      return { value, text: value.map((n) => String(Number(n.toFixed(6)))).join(' ') }
    },
    rewrite: ({ text }) => [{ text: text === '' ? '""' : text, forced: text !== defaultText }],
  }
}

const MAX_ADDRESSES = 16

/** Addresses to listen on: `*` is every IPv4 address, `-` before one means that it may be missing on this machine. */
export function addresses(defaultText: string, traits: Traits = {}): Directive<readonly string[]> {
  return {
    ...traits,
    default: defaultText,
    words: true,
    read(words) {
      if (words.length > MAX_ADDRESSES) return 'Too many bind addresses specified.'
      return { value: words, text: words.join(' ') }
    },
    rewrite: ({ text }) => [{ text: text === '' ? '""' : text, forced: text !== defaultText }],
  }
}

/** Whom to replicate. */
export interface Target {
  readonly host: string
  readonly port: number
}

/** `replicaof <host> <port>`, or `no one`. */
export function replicationTarget(traits: Traits = {}): Directive<Target | undefined> {
  return {
    ...traits,
    default: '',
    words: true,
    read(words) {
      const [host = '', portText = ''] = words
      if (words.length === 0) return { value: undefined, text: '' }
      if (words.length !== 2) return 'wrong number of arguments'
      if (/^no$/i.test(host) && /^one$/i.test(portText)) return { value: undefined, text: '' }
      const port = decimal(portText)
      if (port === undefined || port < 0 || port > 65535) return 'Invalid master port'
      return { value: { host, port }, text: `${host} ${port}` }
    },
    rewrite: ({ text }) => (text === '' ? [] : [{ text, forced: true }]),
  }
}

/** The working folder, absolute. Paths of other directives are relative to it. */
export function folder(traits: Traits = {}): Directive<string> {
  return {
    ...traits,
    default: '.',
    read(words, { enter }) {
      const [word] = words
      if (word === undefined || words.length > 1) return 'wrong number of arguments'
      const entered = enter(word)
      return typeof entered === 'string' ? entered : { value: entered.path, text: entered.path }
    },
    // Always written: the process that reads the file again may start elsewhere.
    rewrite: ({ text }) => [{ text: quote(text), forced: true }],
  }
}
