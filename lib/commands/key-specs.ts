/** Key specifications: where a command's keys stand and what is done to them, as COMMAND tells it. */
import type { Argv } from '../resp/argv.ts'
import { type KeyPositions, type KeySpec, type KeysBegin, keysAfterCount } from './define.ts'
import { keyIndexes } from './keys.ts'
import type { CommandEntry } from './table.ts'

/** The specifications of a row: those it lists, or the one that follows from its positions. */
export function keySpecs(keys: KeyPositions | undefined): readonly KeySpec[] {
  if (keys === undefined) return []
  if (keys.specs !== undefined) return keys.specs
  const { first, last, step, flags = [], notes } = keys
  return [
    { flags, begin: first, last: last < 0 ? last : last - first, step, ...(notes === undefined ? {} : { notes }) },
  ]
}

/** Shard channels are not keys. */
export const hasKeys = (keys: KeyPositions | undefined): boolean => keys !== undefined && keys.channels !== true

/** Commands whose arguments decide what is done to their keys (key flag `variable_flags`). */
const BY_ARGUMENTS: Readonly<Record<string, (argv: Argv) => readonly string[]>> = {
  set(argv) {
    for (let i = 3; i < argv.count; i++) if (argv.word(i) === 'get') return ['RW', 'access', 'update']
    return ['OW', 'update']
  },
}

/** The keys of a request, each with what is done to it. */
export function keysWithFlags(entry: CommandEntry, argv: Argv): { index: number; flags: readonly string[] }[] {
  const indexes: number[] = []
  keyIndexes(entry, argv, indexes)
  const specs = keySpecs(entry.command.keys)
  const variable = BY_ARGUMENTS[entry.fullName]?.(argv)
  return indexes.map((index) => {
    const spec = specs.find((one) => covers(one, argv, index)) ?? specs.at(-1)
    return { index, flags: variable ?? spec?.flags ?? [] }
  })
}

function covers(spec: KeySpec, argv: Argv, index: number): boolean {
  if (spec.begin === 'unknown') return false
  const begin = beginOf(spec.begin, argv)
  if (begin === undefined) return false
  if ('counted' in spec) return keysAfterCount(argv, begin).includes(index)
  const end = spec.last < 0 ? argv.count + spec.last : begin + spec.last
  const last = spec.limit === undefined ? end : begin + Math.floor((end - begin + 1) / spec.limit) - 1
  return index >= begin && index <= last && (index - begin) % spec.step === 0
}

const beginOf = (begin: KeysBegin, argv: Argv): number | undefined =>
  typeof begin === 'number' ? begin : afterKeyword(begin, argv)

/** The argument after a keyword, searched forwards from `from`, or backwards when it is negative. */
function afterKeyword({ keyword, from }: { keyword: string; from: number }, argv: Argv): number | undefined {
  const word = keyword.toLowerCase()
  const step = from < 0 ? -1 : 1
  for (let i = from < 0 ? argv.count + from : from; i > 0 && i < argv.count; i += step)
    if (argv.word(i) === word) return i + 1
  return undefined
}
