/** XGROUP: making, moving and removing consumer groups and their consumers. */
import { StreamValue } from '../../store/types/stream.ts'
import { Consumer, Group } from '../../store/types/stream-groups.ts'
import { MAX_ID, MIN_ID, type StreamId } from '../../store/types/stream-id.ts'
import { ClientError, fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { position } from './args.ts'
import { type ArgumentDoc, type Command, family, type KeyPositions } from './define.ts'
import { KEY, option } from './docs.ts'
import { HELP_ROW, replyHelp, tooManyArguments } from './help.ts'
import { idAt, noGroup, stream, streamForWrite } from './stream-args.ts'

const GROUP: ArgumentDoc = { name: 'groupname', type: 'string' }
const CONSUMER: ArgumentDoc = { name: 'consumername', type: 'string' }
const ENTRIES_READ: ArgumentDoc = { name: 'entries_read', type: 'integer', token: 'ENTRIESREAD', optional: true }
const ID: ArgumentDoc = {
  name: 'id',
  type: 'oneof',
  arguments: [
    { name: 'id', type: 'string' },
    { name: 'new_id', type: 'pure-token', token: '$' },
  ],
}

const secondKey = (...flags: string[]): KeyPositions => ({ first: 2, last: 2, step: 1, flags })

const xgroup: Command = stream({
  name: 'xgroup',
  arity: -2,
  flags: [],
  since: '5.0.0',
  summary: 'A container for consumer groups commands',
  complexity: 'Depends on subcommand.',
  subcommands: [
    stream({
      name: 'create',
      arity: -5,
      flags: ['write', 'denyoom'],
      keys: secondKey('RW', 'insert'),
      since: '5.0.0',
      summary: 'Create a consumer group.',
      complexity: 'O(1)',
      arguments: [KEY, GROUP, ID, option('MKSTREAM'), ENTRIES_READ],
      run: createGroup,
    }),
    stream({
      name: 'createconsumer',
      arity: 5,
      flags: ['write', 'denyoom'],
      keys: secondKey('RW', 'insert'),
      since: '6.2.0',
      summary: 'Create a consumer in a consumer group.',
      complexity: 'O(1)',
      arguments: [KEY, GROUP, CONSUMER],
      run(call, argv) {
        const { consumers } = groupAt(argv, streamAt(call, argv))
        const name = argv.text(4)
        const isNew = consumers.get(name) === undefined
        if (isNew) {
          consumers.add(new Consumer(name, call.now))
          call.db.changed(argv.key(2))
        }
        call.reply.integer(isNew ? 1 : 0)
      },
    }),
    stream({
      name: 'delconsumer',
      arity: 5,
      flags: ['write'],
      keys: secondKey('RW', 'delete'),
      since: '5.0.0',
      summary: 'Delete a consumer from a consumer group.',
      complexity: 'O(1)',
      arguments: [KEY, GROUP, CONSUMER],
      run(call, argv) {
        const pending = groupAt(argv, streamAt(call, argv)).removeConsumer(argv.text(4))
        if (pending !== undefined) call.db.changed(argv.key(2))
        call.reply.integer(pending ?? 0)
      },
    }),
    stream({
      name: 'destroy',
      arity: 4,
      flags: ['write'],
      keys: secondKey('RW', 'delete'),
      since: '5.0.0',
      summary: 'Destroy a consumer group.',
      complexity: "O(N) where N is the number of entries in the group's pending entries list (PEL).",
      arguments: [KEY, GROUP],
      run(call, argv) {
        const destroyed = streamAt(call, argv).groups.delete(argv.text(3))
        if (destroyed) call.db.changed(argv.key(2))
        call.reply.integer(destroyed ? 1 : 0)
      },
    }),
    stream({
      ...HELP_ROW,
      run: ({ reply }) => replyHelp(reply, 'XGROUP', HELP),
    }),
    stream({
      name: 'setid',
      arity: -5,
      flags: ['write'],
      keys: secondKey('RW', 'update'),
      since: '5.0.0',
      summary: 'Set a consumer group to an arbitrary last delivered ID value.',
      complexity: 'O(1)',
      arguments: [KEY, GROUP, ID, ENTRIES_READ],
      run(call, argv) {
        const { entriesRead } = readOptions(argv)
        const value = streamAt(call, argv)
        const group = groupAt(argv, value)
        group.lastId = EDGES[argv.text(4)] ?? positionAt(argv, value)
        group.entriesRead = entriesRead
        call.db.changed(argv.key(2))
        call.reply.ok()
      },
    }),
  ],
})

export const streamGroupCommands = family(xgroup)

const NO_KEY = fail(
  'The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.',
)
const BUSY_GROUP = new ClientError('BUSYGROUP Consumer Group name already exists')

/** The stream of the request, which has to be there. */
function streamAt({ db }: Call, argv: Argv): StreamValue {
  const value = streamForWrite(db, argv.key(2))
  if (value === undefined) throw NO_KEY
  return value
}

function groupAt(argv: Argv, value: StreamValue): Group {
  const group = value.groups.get(argv.text(3))
  if (group === undefined) throw noGroup(`No such consumer group '${argv.text(3)}' for key name '${argv.text(2)}'`)
  return group
}

/** Where a group is to stand: at an id, or at the end. */
const positionAt = (argv: Argv, value: StreamValue | undefined): StreamId =>
  argv.text(4) === '$' ? (value?.lastId ?? MIN_ID) : idAt(argv, 4)

/** Words that SETID alone takes. */
const EDGES: Readonly<Record<string, StreamId>> = { '-': MIN_ID, '+': MAX_ID }

function createGroup(call: Call, argv: Argv): void {
  const { db, reply } = call
  const { makeStream, entriesRead } = readOptions(argv)
  const key = argv.key(2)
  const name = argv.text(3)
  const known = makeStream ? streamForWrite(db, key) : streamAt(call, argv)
  const lastId = positionAt(argv, known)
  if (known?.groups.get(name) !== undefined) throw BUSY_GROUP
  const value = known ?? new StreamValue()
  value.groups.add(new Group(name, lastId, entriesRead))
  if (known === undefined) db.write(key, value, 0)
  else db.changed(key)
  reply.ok()
}

/** Options of CREATE and SETID. */
function readOptions(argv: Argv): { makeStream: boolean; entriesRead: number | undefined } {
  const isCreate = argv.word(1) === 'create'
  let makeStream = false
  let entriesRead = -1
  for (let i = 5; i < argv.count; i++) {
    const name = argv.word(i)
    if (isCreate && name === 'mkstream') makeStream = true
    else if (name === 'entriesread' && i + 1 < argv.count) {
      entriesRead = position(argv, ++i)
      if (entriesRead < -1) throw fail('value for ENTRIESREAD must be positive or -1')
    } else throw tooManyArguments('XGROUP', argv)
  }
  return { makeStream, entriesRead: entriesRead < 0 ? undefined : entriesRead }
}

const HELP = `
CREATE <key> <groupname> <id|$> [option]
    Create a new consumer group. Options are:
    * MKSTREAM
      Create the empty stream if it does not exist.
    * ENTRIESREAD entries_read
      Set the group's entries_read counter (internal use).
CREATECONSUMER <key> <groupname> <consumer>
    Create a new consumer in the specified group.
DELCONSUMER <key> <groupname> <consumer>
    Remove the specified consumer.
DESTROY <key> <groupname>
    Remove the specified group.
SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]
    Set the current group ID and entries_read counter.
`
