/** The first line of a script or library, when it begins with `#!`: the engine, and what it declares of itself. */
import { fail } from '../errors.ts'
import { splitInline } from '../resp/inline.ts'
import { isScriptFlag, type ScriptFlag } from './run.ts'

const HASH = 0x23
const BANG = 0x21
const LINE_FEED = 0x0a

/** Where the first line ends. */
const endOfLine = (body: Buffer): number => {
  const at = body.indexOf(LINE_FEED)
  return at < 0 ? body.length : at
}

/** Undefined when a quote is not closed. */
const words = (body: Buffer, end: number): string[] | undefined =>
  splitInline(body.subarray(0, end))?.map((word) => word.latin1Slice())

/** What Lua compiles and what the script has declared; `flags` undefined for a script without a shebang: rules from before there were
 *  flags hold for it. The line feed stays, so that lines keep their numbers. Throws ClientErrors. */
export function readScript(body: Buffer): { readonly code: Buffer; readonly flags: readonly ScriptFlag[] | undefined } {
  if (body[0] !== HASH || body[1] !== BANG) return { code: body, flags: undefined }
  const end = body.indexOf(LINE_FEED)
  if (end < 0) throw fail('Invalid script shebang')
  const [engine, ...options] = words(body, end) ?? []
  if (engine === undefined) throw fail('Invalid engine in script shebang')
  if (engine !== '#!lua') throw fail(`Unexpected engine in script shebang: ${engine}`)
  let flags: readonly ScriptFlag[] = []
  for (const option of options) {
    if (!option.startsWith('flags=')) throw fail(`Unknown lua shebang option: ${option}`)
    flags = readFlags(option.slice('flags='.length))
  }
  return { code: body.subarray(end), flags }
}

function readFlags(list: string): ScriptFlag[] {
  return list
    .split(',')
    .filter((word) => word !== '')
    .map((word) => {
      if (!isScriptFlag(word)) throw fail(`Unexpected flag in script shebang: ${word}`)
      return word
    })
}

/** The head of a library: `#!lua name=mylib`. Throws ClientErrors. */
export function readLibrary(body: Buffer): { readonly code: Buffer; readonly engine: string; readonly name: string } {
  if (body[0] !== HASH || body[1] !== BANG) throw fail('Missing library metadata')
  const end = endOfLine(body)
  if (end === body.length) throw fail('Invalid library metadata')
  const parts = words(body, end)
  if (parts === undefined) throw fail('Invalid library metadata')
  const [first = '', ...options] = parts
  const engine = first.slice(2)
  let name: string | undefined
  for (const option of options) {
    if (!option.toLowerCase().startsWith('name=')) throw fail(`Invalid metadata value given: ${option}`)
    if (name !== undefined) throw fail('Invalid metadata value, name argument was given multiple times')
    name = option.slice('name='.length)
  }
  if (name === undefined) throw fail('Library name was not given')
  if (!isName(name)) throw fail(BAD_NAME)
  return { code: body.subarray(end), engine, name }
}

/** Of a library or function. */
export const isName = (name: string): boolean => /^\w+$/.test(name)

export const BAD_NAME =
  'Library names can only contain letters, numbers, or underscores(_) and must be at least one character long'
