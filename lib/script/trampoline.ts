/** JavaScript functions as WebAssembly functions: a table of function pointers takes only the latter. A module of a few bytes imports
 *  the functions and exports them again, now with a WebAssembly signature. */

/** How many i32 parameters the functions take, and whether they return one. */
export interface Signature {
  readonly parameters: number
  readonly returns: boolean
}

const I32 = 0x7f
const FUNCTION_TYPE = 0x60
/** Section numbers. */
const TYPES = 1
const IMPORTS = 2
const EXPORTS = 7
const FUNCTION_KIND = 0

/** The given functions, in their order, all of one signature. */
export function asWasm(
  functions: readonly ((...parameters: number[]) => unknown)[],
  { parameters, returns }: Signature,
): WebAssembly.ExportValue[] {
  const type = [1, FUNCTION_TYPE, parameters, ...Array<number>(parameters).fill(I32), ...(returns ? [1, I32] : [0])]
  const imports = functions.flatMap((_, i) => [...name('e'), ...name(String(i)), FUNCTION_KIND, 0])
  const exports = functions.flatMap((_, i) => [...name(String(i)), FUNCTION_KIND, ...leb(i)])
  const bytes = [
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(TYPES, type),
    ...section(IMPORTS, [...leb(functions.length), ...imports]),
    ...section(EXPORTS, [...leb(functions.length), ...exports]),
  ]
  const module = new WebAssembly.Module(new Uint8Array(bytes))
  const { exports: made } = new WebAssembly.Instance(module, { e: Object.fromEntries(functions.entries()) })
  return functions.map((_, i) => made[String(i)]!)
}

const section = (id: number, body: readonly number[]): number[] => [id, ...leb(body.length), ...body]
const name = (text: string): number[] => [text.length, ...Buffer.from(text, 'latin1')]

/** An unsigned number in groups of seven bits. */
function leb(value: number): number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest]
    bytes.push((rest & 0x7f) | 0x80)
  }
}
