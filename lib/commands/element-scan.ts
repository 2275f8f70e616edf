/** HSCAN, SSCAN, ZSCAN: the elements of one value, a few at a time. */
import { globMatch } from '../base/glob.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { type ArgumentDoc, type Command, firstKey } from './define.ts'
import { KEY, option } from './docs.ts'
import { readCursor, readOptions } from './scan.ts'

/** A value that is walked in steps: 0 begins and 0 ends. */
interface Scannable {
  scan(cursor: number, count: number): { readonly next: number; readonly elements: readonly Buffer[] }
}

const ARGUMENTS: readonly ArgumentDoc[] = [
  KEY,
  { name: 'cursor', type: 'integer' },
  { name: 'pattern', type: 'pattern', token: 'MATCH', optional: true },
  { name: 'count', type: 'integer', token: 'COUNT', optional: true },
]

/** A row. `width`: how many elements come for each that a pattern is held against, itself included. `find`: the value at a
 *  key; throws WRONG_TYPE. */
export const elementScan = (
  row: Pick<Command, 'name' | 'group' | 'summary'>,
  width: 1 | 2,
  find: (call: Call, argv: Argv) => Scannable | undefined,
): Command => ({
  ...row,
  arity: -3,
  flags: ['readonly'],
  keys: firstKey('RO', 'access'),
  since: '2.8.0',
  complexity:
    'O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection..',
  tips: ['nondeterministic_output'],
  arguments: row.name === 'hscan' ? [...ARGUMENTS, option('NOVALUES', '7.4.0')] : ARGUMENTS,
  run(call, argv) {
    const cursor = readCursor(argv.text(2))
    const value = find(call, argv)
    // What is wrong with the options nobody says of a key that is not there.
    if (value === undefined) return replyStep(call, 0, [])
    const { pattern, count, noValues } = readOptions(argv, 3, row.name === 'hscan' ? 'hscan' : 'other')
    const { next, elements } = value.scan(cursor, count)
    const matches = (i: number): boolean => pattern === undefined || globMatch(pattern, elements[i - (i % width)]!)
    replyStep(
      call,
      next,
      elements.filter((_, i) => matches(i) && !(noValues && i % width === 1)),
    )
  },
})

function replyStep({ reply }: Call, next: number, elements: readonly Buffer[]): void {
  reply.array(2)
  reply.text(String(next))
  reply.array(elements.length)
  for (const element of elements) reply.bulk(element)
}
