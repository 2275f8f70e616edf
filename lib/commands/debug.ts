/** DEBUG: for tests and for the curious. Needs enable-debug-command. */
import { dumpValue } from '../../store/rdb/dump.ts'
import { RdbReader } from '../../store/rdb/reader.ts'
import { writeRdb } from '../../store/rdb/writer.ts'
import { encodingName } from '../../store/value.ts'
import { parseInteger } from '../base/bytes.ts'
import { keyOf } from '../base/key.ts'
import { ClientError, fail, NO_SUCH_KEY } from '../errors.ts'
import { loadBeside, snapshotOf } from '../replication/dataset.ts'
import type { Argv } from '../resp/argv.ts'
import type { Reply } from '../resp/reply.ts'
import type { Call } from '../server/call.ts'
import { crash, sleepHard } from '../server/machine.ts'
import { type DebugRow, INTERNALS, INTERNALS_HELP } from './debug-internals.ts'
import { family } from './define.ts'
import { datasetDigest, valueDigest } from './digest.ts'
import { replyHelp, tooManyArguments } from './help.ts'

export const debugCommands = family({
  name: 'debug',
  arity: -2,
  flags: ['admin', 'noscript', 'loading', 'stale'],
  group: 'server',
  since: '1.0.0',
  internal: true,
  summary: 'A container for debugging commands',
  complexity: 'Depends on subcommand.',
  run: debug,
})

/** One row for each subcommand. */
const SUBCOMMANDS: ReadonlyMap<string, DebugRow> = new Map<string, DebugRow>([
  ...INTERNALS,
  ['digest', [2, 2, digest]],
  ['digest-value', [2, Number.POSITIVE_INFINITY, digestValue]],
  ['drop-cluster-packet-filter', [3, 3, dropPackets]],
  ['error', [3, 3, error]],
  ['help', [2, 2, help]],
  ['log', [3, 3, log]],
  ['object', [3, 4, object]],
  ['populate', [3, 5, populate]],
  ['protocol', [3, 3, protocol]],
  ['reload', [2, Number.POSITIVE_INFINITY, reload]],
  ['segfault', [2, 2, () => crash('SIGSEGV')]],
  ['set-active-expire', [3, 3, setActiveExpire]],
  ['sleep', [3, 3, sleep]],
])

function debug(call: Call, argv: Argv): void {
  const row = SUBCOMMANDS.get(argv.word(1))
  if (row === undefined || argv.count < row[0] || argv.count > row[1]) throw tooManyArguments('DEBUG', argv)
  row[2](call, argv)
}

const HELP = `${INTERNALS_HELP}DIGEST
    Output a hex signature representing the current DB content.
DIGEST-VALUE <key> [<key> ...]
    Output a hex signature of the values of all the specified keys.
ERROR <string>
    Return a Redis protocol error with <string> as message. Useful for clients
    unit tests to simulate Redis errors.
LOG <message>
    Write <message> to the server log.
OBJECT <key>
    Show low level info about \`key\` and associated value.
DROP-CLUSTER-PACKET-FILTER -1
    Accept all packets of the cluster bus, as always.
POPULATE <count> [<prefix>] [<size>]
    Create <count> string keys named key:<num>. If <prefix> is specified then
    it is used instead of the 'key' prefix. These are not propagated to
    replicas. Cluster slots are not respected so keys not belonging to the
    current node can be created in cluster mode.
PROTOCOL <type>
    Reply with a test value of the specified type. <type> can be: string,
    integer, double, bignum, null, array, set, map, attrib, push, verbatim,
    true, false.
RELOAD
    Turn the data set into an RDB and back: verifies that it survives.
SEGFAULT
    Crash the server with sigsegv.
SET-ACTIVE-EXPIRE <0|1>
    Setting it to 0 disables expiring keys in background when they are not
    accessed (otherwise the Redis behavior). Setting it to 1 reenables back the
    default.
SLEEP <seconds>
    Stop the server for <seconds>. Decimals allowed.
`

function help({ reply }: Call): void {
  replyHelp(reply, 'DEBUG', HELP)
}

/** Seconds, in C's generous reading of a number: what is none is 0. */
function sleep({ reply }: Call, argv: Argv): void {
  sleepHard((Number.parseFloat(argv.text(2)) || 0) * 1000)
  reply.ok()
}

function setActiveExpire({ server, reply }: Call, argv: Argv): void {
  server.activeExpire = (parseInteger(argv.at(2)) ?? 0) !== 0
  reply.ok()
}

function log({ server, reply }: Call, argv: Argv): void {
  server.log.warning(`DEBUG LOG: ${argv.at(2).toString()}`)
  reply.ok()
}

/** Test harnesses switch the filter off before they begin; there is none to switch on. */
function dropPackets({ reply }: Call, argv: Argv): void {
  if (argv.integer(2) !== -1) throw fail('dropping packets of the cluster bus is not supported, only -1 for none')
  reply.ok()
}

function error(_: Call, argv: Argv): void {
  throw new ClientError(argv.text(2))
}

function digest({ server, reply }: Call): void {
  reply.simple(datasetDigest(server.keyspace))
}

function digestValue({ db, reply }: Call, argv: Argv): void {
  reply.array(argv.count - 2)
  for (let i = 2; i < argv.count; i++) {
    const key = argv.key(i)
    const value = db.peek(key)
    reply.simple(value === undefined ? '0'.repeat(40) : valueDigest(value, db.expireAt(key) !== 0))
  }
}

/** What DUMP adds to the value: its type, the version and the checksum. */
const DUMP_OVERHEAD = 1 + 2 + 8

/** There are no addresses here; the other fields are real. */
function object({ db, reply, now }: Call, argv: Argv): void {
  const key = argv.key(2)
  const value = db.peek(key)
  if (value === undefined) throw NO_SUCH_KEY
  const idle = Math.floor((db.idleMs(key) ?? 0) / 1000)
  const length = dumpValue(value).length - DUMP_OVERHEAD
  const lru = (Math.floor(now / 1000) - idle) & 0xffffff
  reply.simple(
    `Value at:0x0 refcount:1 encoding:${encodingName(value)} serializedlength:${length} lru:${lru} lru_seconds_idle:${idle}`,
  )
}

function positive(argv: Argv, i: number): number {
  const value = parseInteger(argv.at(i))
  if (value === undefined || value < 0) throw fail('value is out of range, must be positive')
  return value
}

/** Keys that exist are left alone; nothing is replicated. A value longer than "value:<n>" is filled with zeros. */
function populate(call: Call, argv: Argv): void {
  const { db, reply } = call
  const count = positive(argv, 2)
  const prefix = argv.count > 3 ? argv.at(3) : Buffer.from('key')
  const size = argv.count > 4 ? positive(argv, 4) : 0
  for (let n = 0; n < count; n++) {
    const key = keyOf(Buffer.concat([prefix, Buffer.from(`:${n}`)]))
    if (db.has(key)) continue
    const text = Buffer.from(`value:${n}`)
    const bytes = Buffer.alloc(size === 0 ? text.length : size)
    text.copy(bytes)
    db.write(key, { type: 'string', bytes, raw: false }, 0)
  }
  call.propagate()
  reply.ok()
}

/** Through an RDB and back, in memory: what the format cannot carry would be missing afterwards. */
function reload(call: Call, argv: Argv): void {
  if (argv.count > 2) throw fail('only a plain DEBUG RELOAD is supported: there is no RDB file')
  const { keyspace, config } = call.server
  const reader = new RdbReader(config.values)
  const loading = loadBeside(keyspace)
  const { entries, ...head } = snapshotOf(keyspace)
  for (const chunk of writeRdb(entries, { aux: [], ...head, compress: true }))
    for (const item of reader.feed(chunk))
      if (item.type === 'key') loading.put({ ...item, key: Buffer.from(item.key) })
      else if (item.type === 'library') loading.library(item.source)
  loading.commit()
  call.propagate()
  call.reply.ok()
}

const ATTRIBUTE = Buffer.from('|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n')
const BIG_NUMBER = '1234567999999999999999999999999999999'

/** One reply of each protocol type. */
const SAMPLES: ReadonlyMap<string, (reply: Reply) => void> = new Map<string, (reply: Reply) => void>([
  ['string', (reply) => reply.text('Hello World')],
  ['integer', (reply) => reply.integer(12345)],
  ['double', (reply) => reply.double('3.141')],
  ['bignum', (reply) => (reply.resp3 ? reply.raw(Buffer.from(`(${BIG_NUMBER}\r\n`)) : reply.text(BIG_NUMBER))],
  ['null', (reply) => reply.nil()],
  ['array', (reply) => countTo3(reply, reply.array.bind(reply))],
  ['set', (reply) => countTo3(reply, reply.set.bind(reply))],
  [
    'map',
    (reply) => {
      reply.map(3)
      for (let i = 0; i < 3; i++) {
        reply.integer(i)
        reply.boolean(i === 1)
      }
    },
  ],
  [
    'attrib',
    (reply) => {
      if (reply.resp3) reply.raw(ATTRIBUTE)
      reply.text('Some real reply following the attribute')
    },
  ],
  [
    'push',
    (reply) => {
      if (!reply.resp3) throw fail('RESP2 is not supported by this command')
      reply.push(2)
      reply.text('server-cpu-usage')
      reply.integer(42)
      reply.text('Some real reply following the push reply')
    },
  ],
  ['verbatim', (reply) => reply.verbatim('This is a verbatim\nstring')],
  ['true', (reply) => reply.boolean(true)],
  ['false', (reply) => reply.boolean(false)],
])

function countTo3(reply: Reply, head: (count: number) => void): void {
  head(3)
  for (let i = 0; i < 3; i++) reply.integer(i)
}

function protocol({ reply }: Call, argv: Argv): void {
  const sample = SAMPLES.get(argv.word(2))
  if (sample === undefined)
    throw fail(
      'Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false',
    )
  sample(reply)
}
