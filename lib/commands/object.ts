/** OBJECT: a look at how a value is kept. */
import { encodingName, type Value } from '../../store/value.ts'
import { parseInteger } from '../base/bytes.ts'
import { fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import type { Command, KeyPositions } from './define.ts'
import { KEY } from './docs.ts'
import { replyHelp } from './help.ts'

const KEY_AT_2: KeyPositions = { first: 2, last: 2, step: 1, flags: ['RO'] }

const sub = (
  row: Pick<Command, 'name' | 'since' | 'summary'>,
  answer: (call: Call, argv: Argv, value: Value) => void,
): Command => ({
  ...row,
  group: 'generic',
  arity: 3,
  flags: ['readonly'],
  keys: KEY_AT_2,
  complexity: 'O(1)',
  tips: ['nondeterministic_output'],
  arguments: [KEY],
  run(call, argv) {
    const value = call.db.peek(argv.key(2))
    if (value === undefined) call.reply.nil()
    else answer(call, argv, value)
  },
})

export const object: Command = {
  name: 'object',
  group: 'generic',
  arity: -2,
  flags: [],
  since: '2.2.3',
  summary: 'A container for object introspection commands',
  complexity: 'Depends on subcommand.',
  subcommands: [
    sub(
      { name: 'encoding', since: '2.2.3', summary: 'Inspect the internal encoding of a Redis object' },
      ({ reply }, _argv, value) => reply.text(encodingName(value)),
    ),
    sub(
      { name: 'freq', since: '4.0.0', summary: 'Get the logarithmic access frequency counter of a Redis object' },
      ({ db, reply, server }, argv) => {
        if (server.keyspace.lfu === undefined) throw NO_FREQUENCY
        reply.integer(db.frequency(argv.key(2)) ?? 0)
      },
    ),
    {
      name: 'help',
      group: 'generic',
      arity: 2,
      flags: ['loading', 'stale'],
      since: '6.2.0',
      summary: 'Show helpful text about the different subcommands',
      complexity: 'O(1)',
      run: ({ reply }) => replyHelp(reply, 'OBJECT', HELP),
    },
    sub(
      { name: 'idletime', since: '2.2.3', summary: 'Get the time since a Redis object was last accessed' },
      ({ db, reply, server }, argv) => {
        if (server.keyspace.lfu !== undefined) throw NO_IDLE_TIME
        reply.integer(Math.floor((db.idleMs(argv.key(2)) ?? 0) / 1000))
      },
    ),
    sub(
      { name: 'refcount', since: '2.2.3', summary: 'Get the number of references to the value of the key' },
      ({ reply }, _argv, value) => reply.integer(isShared(value) ? SHARED : 1),
    ),
  ],
}

/** Of each key is known how often it is used, or when it was used last. */
const IN_TIME =
  'Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.'
const NO_FREQUENCY = fail(`An LFU maxmemory policy is not selected, access frequency not tracked. ${IN_TIME}`)
const NO_IDLE_TIME = fail(`An LFU maxmemory policy is selected, idle time not tracked. ${IN_TIME}`)

/** A real server keeps one object for each small integer and says so by a reference count that never changes. */
const SHARED = 2 ** 31 - 1
const SHARED_INTEGERS = 10_000

function isShared(value: Value): boolean {
  if (value.type !== 'string' || encodingName(value) !== 'int') return false
  const integer = parseInteger(value.bytes)
  return integer !== undefined && integer >= 0 && integer < SHARED_INTEGERS
}

const HELP = `
ENCODING <key>
    Return the kind of internal representation used in order to store the value
    associated with a <key>.
FREQ <key>
    Return the access frequency index of the <key>. The returned integer is
    proportional to the logarithm of the recent access frequency of the key.
IDLETIME <key>
    Return the idle time of the <key>, that is the approximated number of
    seconds elapsed since the last access to the key.
REFCOUNT <key>
    Return the number of references of the value associated with the specified
    <key>.
`
