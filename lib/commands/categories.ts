/** ACL categories: most follow from a command's flags and group, the rest stand in its row. */
import type { CommandFlag, Group } from './define.ts'
import type { CommandEntry } from './table.ts'

/** All of them, in the order in which COMMAND INFO and ACL CAT print them. */
export const CATEGORIES = [
  'keyspace',
  'read',
  'write',
  'set',
  'sortedset',
  'list',
  'hash',
  'string',
  'bitmap',
  'hyperloglog',
  'geo',
  'stream',
  'pubsub',
  'admin',
  'fast',
  'slow',
  'blocking',
  'dangerous',
  'connection',
  'transaction',
  'scripting',
] as const

/** What a group implies, for commands that are no mere containers. */
const OF_GROUP: Readonly<Partial<Record<Group, string>>> = {
  string: 'string',
  list: 'list',
  hash: 'hash',
  set: 'set',
  'sorted-set': 'sortedset',
  stream: 'stream',
  bitmap: 'bitmap',
  hyperloglog: 'hyperloglog',
  geo: 'geo',
  generic: 'keyspace',
  connection: 'connection',
  transactions: 'transaction',
  scripting: 'scripting',
}

const OF_FLAG: Readonly<Partial<Record<CommandFlag, readonly string[]>>> = {
  write: ['write'],
  readonly: ['read'],
  admin: ['admin', 'dangerous'],
  pubsub: ['pubsub'],
  fast: ['fast'],
  blocking: ['blocking'],
}

const GROUP_WORDS = new Set(Object.values(OF_GROUP))

/** The categories of a command. A row that names a category which a group could imply means it in place of its own
 *  group's: SORT is a list, set and sorted set command, not one of the keyspace. */
export function aclCategories({ command, subcommands }: CommandEntry): readonly string[] {
  const own = command.categories ?? []
  const found = new Set(own)
  const ofGroup = OF_GROUP[command.group]
  if (ofGroup !== undefined && subcommands === undefined && !own.some((word) => GROUP_WORDS.has(word)))
    found.add(ofGroup)
  for (const flag of command.flags) for (const word of OF_FLAG[flag] ?? []) found.add(word)
  if (found.has('scripting')) found.delete('read')
  if (!found.has('fast')) found.add('slow')
  return CATEGORIES.filter((word) => found.has(word))
}
