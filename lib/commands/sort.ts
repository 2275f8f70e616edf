/** SORT: the elements of a list, set or sorted set in order, of themselves or of keys that are named after them. Elements are latin1
 *  text, whose order is that of the bytes. */
import type { Database } from '../../store/keyspace.ts'
import { ListValue } from '../../store/types/list.ts'
import { keyOfText, putText } from '../../store/types/names.ts'
import { type Key, keyFromText } from '../base/key.ts'
import { fail, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { position } from './args.ts'
import { type ArgumentDoc, type Command, family, type KeySpec } from './define.ts'
import { KEY, word } from './docs.ts'
import { fillOf } from './list.ts'
import { inOrder, type Ordered } from './sort-order.ts'

const SORTED: KeySpec = { flags: ['RO', 'access'], begin: 1, last: 0, step: 1 }
const NAMED_AFTER_ELEMENTS: KeySpec = {
  flags: ['RO', 'access'],
  begin: 'unknown',
  notes:
    "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort",
}
const STORED: KeySpec = {
  flags: ['OW', 'update'],
  begin: 'unknown',
  notes:
    "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array",
}

const ARGUMENTS: readonly ArgumentDoc[] = [
  KEY,
  { name: 'pattern', type: 'pattern', token: 'BY', keySpec: 1, optional: true },
  {
    name: 'offset_count',
    type: 'block',
    token: 'LIMIT',
    optional: true,
    arguments: [
      { name: 'offset', type: 'integer' },
      { name: 'count', type: 'integer' },
    ],
  },
  { name: 'pattern', type: 'pattern', token: 'GET', keySpec: 1, optional: true, multiple: true, multipleToken: true },
  { name: 'order', type: 'oneof', optional: true, arguments: [word('ASC'), word('DESC')] },
  { name: 'sorting', type: 'pure-token', token: 'ALPHA', optional: true },
]
const DESTINATION: ArgumentDoc = { name: 'destination', type: 'key', token: 'STORE', keySpec: 2, optional: true }

/** What both commands have in common. */
const row = {
  group: 'generic',
  arity: -2,
  complexity:
    'O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).',
  categories: ['set', 'sortedset', 'list', 'dangerous'],
} as const satisfies Partial<Command>

export const sortCommands = family(
  {
    ...row,
    name: 'sort',
    flags: ['write', 'denyoom', 'movablekeys'],
    keys: { first: 1, last: 1, step: 1, find: keyArguments, specs: [SORTED, NAMED_AFTER_ELEMENTS, STORED] },
    since: '1.0.0',
    summary: 'Sort the elements in a list, set or sorted set',
    arguments: [...ARGUMENTS, DESTINATION],
    run: (call, argv) => sort(call, argv, true),
  },
  {
    ...row,
    name: 'sort_ro',
    flags: ['readonly', 'movablekeys'],
    keys: { first: 1, last: 1, step: 1, specs: [SORTED, NAMED_AFTER_ELEMENTS] },
    since: '7.0.0',
    summary: 'Sort the elements in a list, set or sorted set. Read-only variant of SORT.',
    arguments: ARGUMENTS,
    run: (call, argv) => sort(call, argv, false),
  },
)

/** Options by the number of words that follow them; what is unknown is passed over here and refused by the command. */
const WORDS_AFTER: ReadonlyMap<string, number> = new Map([
  ['limit', 2],
  ['get', 1],
  ['by', 1],
  ['store', 1],
])

function keyArguments(argv: Argv): number[] {
  let stored: number | undefined
  for (let i = 2; i < argv.count; i++) {
    const option = argv.word(i)
    if (option === 'store' && i + 1 < argv.count) stored = i + 1
    i += WORDS_AFTER.get(option) ?? 0
  }
  return stored === undefined ? [1] : [1, stored]
}

/** Names something for each element: the element itself (`#`), a string's key, or a hash's key and a field. */
type Pattern =
  | 'element'
  | 'nothing'
  | { readonly before: string; readonly after: string; readonly field: string | undefined }

interface Options {
  descending: boolean
  alphabetical: boolean
  /** Leave this many out, then give so many; negative: all. */
  offset: number
  count: number
  /** Undefined: sort by the elements themselves. 'nothing': do not sort. */
  by: Pattern | undefined
  readonly gets: Pattern[]
  store: Key | undefined
}

function sort(call: Call, argv: Argv, mayStore: boolean): void {
  const { db } = call
  const options = readOptions(call, argv, mayStore)
  const { by, gets, store } = options
  const ordered = inOrder(db.read(argv.key(1)), {
    ...options,
    by: typeof by === 'object' || by === 'element' ? (element) => look(db, by, element) : by,
    stored: store !== undefined,
  })
  const output: Output = { db, ordered, gets }
  if (store === undefined) replyWith(call, output)
  else storeAt(call, store, output)
}

/** What comes of it: the elements, or what is to be got for each. */
interface Output {
  readonly db: Database
  readonly ordered: Ordered
  readonly gets: readonly Pattern[]
}

/** Text by text: an output may be long. */
function* textsOf({ db, ordered, gets }: Output): Generator<string | undefined> {
  for (let i = 0; i < ordered.size; i++) {
    const element = ordered.at(i)
    if (gets.length === 0) yield element
    else for (const get of gets) yield look(db, get, element)
  }
}

function readOptions(call: Call, argv: Argv, mayStore: boolean): Options {
  const options: Options = {
    descending: false,
    alphabetical: false,
    offset: 0,
    count: -1,
    by: undefined,
    gets: [],
    store: undefined,
  }
  for (let i = 2; i < argv.count; i++) {
    const option = argv.word(i)
    const left = argv.count - i - 1
    if (option === 'asc') options.descending = false
    else if (option === 'desc') options.descending = true
    else if (option === 'alpha') options.alphabetical = true
    else if (option === 'limit' && left >= 2) {
      options.offset = position(argv, ++i)
      options.count = position(argv, ++i)
    } else if (option === 'store' && left >= 1 && mayStore) options.store = argv.key(++i)
    else if (option === 'by' && left >= 1) {
      const by = byPattern(call, argv.text(++i))
      // Once told not to sort, a real server does not.
      if (options.by !== 'nothing') options.by = by
    } else if (option === 'get' && left >= 1) options.gets.push(getPattern(call, argv.text(++i)))
    else throw SYNTAX
  }
  return options
}

/** What a name that is the same for every element says about their order is nothing. */
function byPattern(call: Call, text: string): Pattern {
  if (!text.includes('*')) return 'nothing'
  checkReach(call, 'BY')
  return parsePattern(text)
}

function getPattern(call: Call, text: string): Pattern {
  checkReach(call, 'GET')
  return parsePattern(text)
}

/** A pattern can name any key: those of other nodes, and those the user must not read. */
function checkReach(call: Call, option: 'BY' | 'GET'): void {
  const { server } = call
  if (server.cluster !== undefined) throw fail(`${option} option of SORT denied in Cluster mode.`)
  if (!server.acl.readsEverything(call))
    throw fail(`${option} option of SORT denied due to insufficient ACL permissions.`)
}

function parsePattern(text: string): Pattern {
  if (text === '#') return 'element'
  const star = text.indexOf('*')
  if (star < 0) return 'nothing'
  const arrow = text.indexOf('->', star + 1)
  const hasField = arrow >= 0 && arrow + 2 < text.length
  return {
    before: text.slice(0, star),
    after: text.slice(star + 1, hasField ? arrow : undefined),
    field: hasField ? text.slice(arrow + 2) : undefined,
  }
}

/** What a pattern names for an element; undefined when there is no such string or field. */
function look(db: Database, pattern: Pattern, element: string): string | undefined {
  if (pattern === 'element') return element
  if (pattern === 'nothing') return undefined
  const key = keyFromText(pattern.before + element + pattern.after)
  const value = db.read(key)
  if (pattern.field === undefined) return value?.type === 'string' ? value.bytes.latin1Slice() : undefined
  if (value?.type !== 'hash') return undefined
  const hash = value.deadlines === undefined ? value : db.living(key, value, false)
  const spot = hash?.find(keyFromText(pattern.field)) ?? -1
  return hash === undefined || spot < 0 ? undefined : hash.value(spot).latin1Slice()
}

function replyWith({ reply }: Call, output: Output): void {
  reply.array(lengthOf(output))
  for (const text of textsOf(output)) {
    if (text === undefined) reply.nil()
    else putText(text, reply)
  }
}

const lengthOf = ({ ordered, gets }: Output): number => ordered.size * Math.max(1, gets.length)

/** Stores the output in place of whatever the key holds; nothing is no list. */
function storeAt(call: Call, key: Key, output: Output): void {
  const list = new ListValue()
  for (const text of textsOf(output)) {
    const { bytes, start, end, data } = keyOfText(text ?? '')
    list.push('right', fillOf(call), bytes, start, end, data)
  }
  if (list.size > 0) call.db.write(key, list, 0)
  else call.db.remove(key)
  call.reply.integer(list.size)
}
