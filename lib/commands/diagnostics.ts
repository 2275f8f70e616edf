/** MEMORY: what an operator asks when a node is too big. */

import { SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Reply } from '../resp/reply.ts'
import type { Call } from '../server/call.ts'
import { heapReport } from '../server/machine.ts'
import { memoryFigures } from '../server/memory-info.ts'
import { family } from './define.ts'
import { replyHelp } from './help.ts'

export const diagnosticCommands = family({
  name: 'memory',
  arity: -2,
  flags: [],
  group: 'server',
  since: '4.0.0',
  summary: 'A container for memory diagnostics commands',
  complexity: 'Depends on subcommand.',
  subcommands: [
    {
      name: 'doctor',
      arity: 2,
      flags: [],
      group: 'server',
      since: '4.0.0',
      summary: 'Outputs memory problems report',
      complexity: 'O(1)',
      tips: ['nondeterministic_output', 'request_policy:all_shards', 'response_policy:special'],
      run: memoryDoctor,
    },
    {
      name: 'help',
      arity: 2,
      flags: ['loading', 'stale'],
      group: 'server',
      since: '4.0.0',
      summary: 'Show helpful text about the different subcommands',
      complexity: 'O(1)',
      run: ({ reply }) => replyHelp(reply, 'MEMORY', MEMORY_HELP),
    },
    {
      name: 'malloc-stats',
      arity: 2,
      flags: [],
      group: 'server',
      since: '4.0.0',
      summary: 'Show allocator internal stats',
      complexity: 'Depends on how much memory is allocated, could be slow',
      tips: ['nondeterministic_output', 'request_policy:all_shards', 'response_policy:special'],
      run: ({ reply }) => reply.verbatim(heapReport()),
    },
    {
      name: 'purge',
      arity: 2,
      flags: [],
      group: 'server',
      since: '4.0.0',
      summary: 'Ask the allocator to release memory',
      complexity: 'Depends on how much memory is allocated, could be slow',
      tips: ['request_policy:all_shards', 'response_policy:all_succeeded'],
      // The engine gives memory back when it sees fit: as with an allocator that cannot be asked, that is no error.
      run: ({ reply }) => reply.ok(),
    },
    {
      name: 'stats',
      arity: 2,
      flags: [],
      group: 'server',
      since: '4.0.0',
      summary: 'Show memory usage details',
      complexity: 'O(1)',
      tips: ['nondeterministic_output', 'request_policy:all_shards', 'response_policy:special'],
      run: memoryStats,
    },
    {
      name: 'usage',
      arity: -3,
      flags: ['readonly'],
      keys: { first: 2, last: 2, step: 1, flags: ['RO'] },
      group: 'server',
      since: '4.0.0',
      summary: 'Estimate the memory usage of a key',
      complexity: 'O(N) where N is the number of samples.',
      arguments: [
        { name: 'key', type: 'key', keySpec: 0 },
        { name: 'count', type: 'integer', token: 'SAMPLES', optional: true },
      ],
      run: usage,
    },
  ],
})

const MEMORY_HELP = `
DOCTOR
    Return memory problems reports.
MALLOC-STATS
    Return internal statistics report from the memory allocator.
PURGE
    Attempt to purge dirty pages for reclamation by the allocator.
STATS
    Return information about the memory usage of the server.
USAGE <key> [SAMPLES <count>]
    Return memory in bytes used by <key> and its value. Nested values are
    sampled up to <count> times (default: 5, 0 means sample all).
`

/** Bytes of a key: an estimate. The weight of a collection is known, so that SAMPLES changes nothing. */
function usage({ db, reply }: Call, argv: Argv): void {
  for (let i = 3; i < argv.count; i += 2)
    if (argv.word(i) !== 'samples' || i + 1 >= argv.count || argv.integer(i + 1) < 0) throw SYNTAX
  const weight = db.weightOf(argv.key(2))
  if (weight === undefined) reply.nil()
  else reply.integer(weight)
}

const EMPTY =
  "Hi Sam, this instance is empty or is using very little memory, my issues detector can't be used in these conditions. Please, leave for your mission on Earth and fill it with some data. The new Sam and I will be back to our programming as soon as I finished rebooting.\n"
const HEALTHY =
  "Hi Sam, I can't find any memory issue in your instance. I can only account for what occurs on this base.\n"
const VERY_LITTLE = 5 * 1024 * 1024

/** One row for each complaint of MEMORY DOCTOR. */
const COMPLAINTS: readonly { readonly when: (m: Figures) => boolean; readonly text: string }[] = [
  {
    when: (m) => m.peak > m.used * 1.5,
    text: ' * Peak memory: In the past this instance used more than 150% the memory that is currently using. The JavaScript heap gives pages back late or not at all, so you may see a resident set that is larger than needed.\n\n',
  },
  {
    when: (m) => m.clients > 200 * 1024 * m.clientCount,
    text: " * Big client buffers: The clients take more than 200 kB each on average. This may be because of subscribers that do not read as fast as messages are published, or of clients that send large pipelines and do not read the replies. Use 'CLIENT LIST' to see which.\n\n",
  },
]

type Figures = ReturnType<typeof memoryFigures> & { readonly clientCount: number }

function memoryDoctor({ server, reply }: Call): void {
  const figures: Figures = { ...memoryFigures(server), clientCount: Math.max(1, server.clients.size) }
  if (figures.used < VERY_LITTLE) return reply.verbatim(EMPTY)
  const complaints = COMPLAINTS.filter(({ when }) => when(figures)).map(({ text }) => text)
  if (complaints.length === 0) return reply.verbatim(HEALTHY)
  reply.verbatim(`Sam, I detected a few issues in this instance's memory:\n\n${complaints.join('')}`)
}

/** A number that RESP3 shows as a double. */
class Double {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

/** A figure, or those of one database. */
type Stat = number | Double | Readonly<Record<string, number>>

/** The fields of redis-server 7.0, in its order. Keys are not kept in hash tables of their own: their overhead is in the total. */
function memoryStats({ server, reply }: Call): void {
  const m = memoryFigures(server)
  const keys = server.keyspace.size
  const dataset = m.used - m.overhead
  const databases = server.keyspace.databases.filter((db) => db.size > 0)
  const stats: Readonly<Record<string, Stat>> = {
    'peak.allocated': m.peak,
    'total.allocated': m.used,
    'startup.allocated': 0,
    'replication.backlog': m.backlog,
    'clients.slaves': m.replicas,
    'clients.normal': m.clients,
    'cluster.links': 0,
    'aof.buffer': 0,
    'lua.caches': 0,
    'functions.caches': 0,
    ...Object.fromEntries(databases.map((db) => [`db.${db.index}`, HASHTABLES])),
    'overhead.total': m.overhead,
    'keys.count': keys,
    'keys.bytes-per-key': keys === 0 ? 0 : Math.floor(m.used / keys),
    'dataset.bytes': dataset,
    'dataset.percentage': new Double((dataset / m.used) * 100),
    'peak.percentage': new Double((m.used / m.peak) * 100),
    'allocator.allocated': m.used,
    'allocator.active': m.active,
    'allocator.resident': m.resident,
    'allocator-fragmentation.ratio': new Double(m.active / m.used),
    'allocator-fragmentation.bytes': m.active - m.used,
    'allocator-rss.ratio': new Double(m.resident / m.active),
    'allocator-rss.bytes': m.resident - m.active,
    'rss-overhead.ratio': new Double(1),
    'rss-overhead.bytes': 0,
    fragmentation: new Double(m.resident / m.used),
    'fragmentation.bytes': m.resident - m.used,
  }
  replyStats(reply, stats)
}

const HASHTABLES = {
  'overhead.hashtable.main': 0,
  'overhead.hashtable.expires': 0,
  'overhead.hashtable.slot-to-keys': 0,
}

function replyStats(reply: Reply, stats: Readonly<Record<string, Stat>>): void {
  const fields = Object.entries(stats)
  reply.map(fields.length)
  for (const [name, stat] of fields) {
    reply.text(name)
    if (typeof stat === 'number') reply.integer(stat)
    else if (stat instanceof Double) reply.double(String(stat.value))
    else replyStats(reply, stat)
  }
}
