/** MEMORY and LATENCY: what an operator asks when a node is too big or too slow. */

import { sizeOf } from '../../store/memory.ts'
import { fail, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { memoryFigures } from '../server/memory-info.ts'
import { family } from './define.ts'
import { replyHelp } from './help.ts'

export const diagnosticCommands = family(
  {
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
  },
  {
    name: 'latency',
    arity: -2,
    flags: [],
    group: 'server',
    since: '2.8.13',
    summary: 'A container for latency diagnostics commands',
    complexity: 'Depends on subcommand.',
    subcommands: [
      {
        name: 'doctor',
        arity: 2,
        flags: ['admin', 'noscript', 'loading', 'stale'],
        group: 'server',
        since: '2.8.13',
        summary: 'Return a human readable latency analysis report.',
        complexity: 'O(1)',
        tips: ['nondeterministic_output', 'request_policy:all_nodes', 'response_policy:special'],
        run: latencyDoctor,
      },
      {
        name: 'graph',
        arity: 3,
        flags: ['admin', 'noscript', 'loading', 'stale'],
        group: 'server',
        since: '2.8.13',
        summary: 'Return a latency graph for the event.',
        complexity: 'O(1)',
        tips: ['nondeterministic_output', 'request_policy:all_nodes', 'response_policy:special'],
        arguments: [{ name: 'event', type: 'string' }],
        run(_, argv) {
          throw fail(`No samples available for event '${argv.text(2)}'`)
        },
      },
      {
        name: 'help',
        arity: 2,
        flags: ['loading', 'stale'],
        group: 'server',
        since: '2.8.13',
        summary: 'Show helpful text about the different subcommands.',
        complexity: 'O(1)',
        run: ({ reply }) => replyHelp(reply, 'LATENCY', LATENCY_HELP),
      },
      {
        name: 'history',
        arity: 3,
        flags: ['admin', 'noscript', 'loading', 'stale'],
        group: 'server',
        since: '2.8.13',
        summary: 'Return timestamp-latency samples for the event.',
        complexity: 'O(1)',
        tips: ['nondeterministic_output', 'request_policy:all_nodes', 'response_policy:special'],
        arguments: [{ name: 'event', type: 'string' }],
        run: ({ reply }) => reply.array(0),
      },
      {
        name: 'latest',
        arity: 2,
        flags: ['admin', 'noscript', 'loading', 'stale'],
        group: 'server',
        since: '2.8.13',
        summary: 'Return the latest latency samples for all events.',
        complexity: 'O(1)',
        tips: ['nondeterministic_output', 'request_policy:all_nodes', 'response_policy:special'],
        run: ({ reply }) => reply.array(0),
      },
      {
        name: 'reset',
        arity: -2,
        flags: ['admin', 'noscript', 'loading', 'stale'],
        group: 'server',
        since: '2.8.13',
        summary: 'Reset latency data for one or more events.',
        complexity: 'O(1)',
        tips: ['request_policy:all_nodes', 'response_policy:all_succeeded'],
        arguments: [{ name: 'event', type: 'string', optional: true, multiple: true }],
        run: ({ reply }) => reply.integer(0),
      },
    ],
  },
)

const MEMORY_HELP = `
DOCTOR
    Return memory problems reports.
STATS
    Return information about the memory usage of the server.
USAGE <key> [SAMPLES <count>]
    Return memory in bytes used by <key> and its value. Nested values are
    sampled up to <count> times (default: 5, 0 means sample all).
`
const LATENCY_HELP = `
DOCTOR
    Return a human readable latency analysis report.
GRAPH <event>
    Return an ASCII latency graph for the <event> class.
HISTORY <event>
    Return time-latency samples for the <event> class.
LATEST
    Return the latest latency samples for all events.
RESET [<event> ...]
    Reset latency data of one or more <event> classes.
    (default: reset all data for all event classes)
`

/** Bytes of a key: an estimate, from so many elements of a collection; SAMPLES 0 looks at all of them. */
function usage({ db, reply }: Call, argv: Argv): void {
  let samples: number | undefined
  for (let i = 3; i < argv.count; i += 2) {
    if (argv.word(i) !== 'samples' || i + 1 >= argv.count) throw SYNTAX
    samples = argv.integer(i + 1)
    if (samples < 0) throw SYNTAX
    if (samples === 0) samples = Number.POSITIVE_INFINITY
  }
  const key = argv.key(2)
  const value = db.peek(key)
  if (value === undefined) reply.nil()
  else reply.integer(sizeOf(key.length, value, db.expireAt(key) !== 0, samples))
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
  if (figures.used - figures.startup < VERY_LITTLE) return reply.verbatim(EMPTY)
  const complaints = COMPLAINTS.filter(({ when }) => when(figures)).map(({ text }) => text)
  if (complaints.length === 0) return reply.verbatim(HEALTHY)
  reply.verbatim(`Sam, I detected a few issues in this instance's memory:\n\n${complaints.join('')}`)
}

function memoryStats({ server, reply }: Call): void {
  const m = memoryFigures(server)
  const keys = server.keyspace.size
  const dataset = m.used - m.overhead
  const integers = {
    'peak.allocated': m.peak,
    'total.allocated': m.used,
    'startup.allocated': m.startup,
    'replication.backlog': m.backlog,
    'clients.slaves': m.replicas,
    'clients.normal': m.clients,
    'overhead.total': m.overhead,
    'keys.count': keys,
    'keys.bytes-per-key': keys === 0 ? 0 : Math.floor(Math.max(0, m.used - m.startup) / keys),
    'dataset.bytes': dataset,
    'allocator.allocated': m.used,
    'allocator.active': m.heap,
    'allocator.resident': m.resident,
    'fragmentation.bytes': m.resident - m.used,
  }
  const doubles = {
    'dataset.percentage': (dataset / Math.max(1, m.used - m.startup)) * 100,
    'peak.percentage': (m.used / m.peak) * 100,
    fragmentation: m.resident / m.used,
  }
  reply.map(Object.keys(integers).length + Object.keys(doubles).length)
  for (const [name, value] of Object.entries(integers)) {
    reply.text(name)
    reply.integer(value)
  }
  for (const [name, value] of Object.entries(doubles)) {
    reply.text(name)
    reply.double(String(value))
  }
}

const NOT_MONITORED =
  "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis instance. You may use \"CONFIG SET latency-monitor-threshold <milliseconds>.\" in order to enable it. If we weren't in a deep space mission I'd suggest to take a look at https://redis.io/topics/latency-monitor.\n"
const NO_SPIKES =
  'Dave, no latency spike was observed during the lifetime of this Redis instance, not in the slightest bit. I honestly think you ought to sit down calmly, take a stress pill, and think things over.\n'

/** No event is sampled, so there is never one to tell of. */
function latencyDoctor({ server, reply }: Call): void {
  reply.verbatim(server.config.values.latencyMonitorThreshold === 0 ? NOT_MONITORED : NO_SPIKES)
}
