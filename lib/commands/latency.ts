/** LATENCY: what took long, when, and how long each command takes. */
import { fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Reply } from '../resp/reply.ts'
import type { Call } from '../server/call.ts'
import type { Spike, Spikes } from '../server/latency.ts'
import type { Server } from '../server/server.ts'
import { sparkline } from '../server/sparkline.ts'
import { type Command, type CommandFlag, family } from './define.ts'
import { replyHelp } from './help.ts'
import type { CommandEntry } from './table.ts'

const OPERATOR: readonly CommandFlag[] = ['admin', 'noscript', 'loading', 'stale']
const TIPS = ['nondeterministic_output', 'request_policy:all_nodes', 'response_policy:special']

/** A subcommand. */
const sub = (row: Omit<Command, 'group' | 'flags' | 'since' | 'complexity'> & Partial<Command>): Command => ({
  group: 'server',
  flags: OPERATOR,
  since: '2.8.13',
  complexity: 'O(1)',
  ...row,
})

export const latencyCommands = family({
  name: 'latency',
  arity: -2,
  flags: [],
  group: 'server',
  since: '2.8.13',
  summary: 'A container for latency diagnostics commands',
  complexity: 'Depends on subcommand.',
  subcommands: [
    sub({
      name: 'doctor',
      arity: 2,
      summary: 'Return a human readable latency analysis report.',
      tips: TIPS,
      run: ({ server, reply }) => reply.verbatim(report(server)),
    }),
    sub({
      name: 'graph',
      arity: 3,
      summary: 'Return a latency graph for the event.',
      tips: TIPS,
      arguments: [{ name: 'event', type: 'string' }],
      run: graph,
    }),
    sub({
      name: 'help',
      arity: 2,
      flags: ['loading', 'stale'],
      summary: 'Show helpful text about the different subcommands.',
      run: ({ reply }) => replyHelp(reply, 'LATENCY', HELP),
    }),
    sub({
      name: 'histogram',
      arity: -2,
      since: '7.0.0',
      summary: 'Return the cumulative distribution of latencies of a subset of commands or all.',
      complexity: 'O(N) where N is the number of commands with latency information being retrieved.',
      tips: TIPS,
      arguments: [{ name: 'command', type: 'string', optional: true, multiple: true }],
      run: histograms,
    }),
    sub({
      name: 'history',
      arity: 3,
      summary: 'Return timestamp-latency samples for the event.',
      tips: TIPS,
      arguments: [{ name: 'event', type: 'string' }],
      run({ server, reply }, argv) {
        const spikes = server.latency.events.get(argv.text(2))?.last ?? []
        reply.array(spikes.length)
        for (const { time, ms } of spikes) integers(reply, [time, ms])
      },
    }),
    sub({
      name: 'latest',
      arity: 2,
      summary: 'Return the latest latency samples for all events.',
      tips: TIPS,
      run: latest,
    }),
    sub({
      name: 'reset',
      arity: -2,
      summary: 'Reset latency data for one or more events.',
      tips: ['request_policy:all_nodes', 'response_policy:all_succeeded'],
      arguments: [{ name: 'event', type: 'string', optional: true, multiple: true }],
      run: reset,
    }),
  ],
})

const HELP = `
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
HISTOGRAM [COMMAND ...]
    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.
    If no commands are specified then all histograms are replied.
`

function integers(reply: Reply, all: readonly number[]): void {
  reply.array(all.length)
  for (const one of all) reply.integer(one)
}

function latest({ server, reply }: Call): void {
  const { events } = server.latency
  reply.array(events.size)
  for (const [event, { last, worst }] of events) {
    const { time, ms } = last.at(-1)!
    reply.array(4)
    reply.text(event)
    for (const one of [time, ms, worst]) reply.integer(one)
  }
}

function reset({ server, reply }: Call, argv: Argv): void {
  const named = Array.from({ length: argv.count - 2 }, (_, i) => argv.text(i + 2))
  const events = argv.count === 2 ? [...server.latency.events.keys()] : named
  reply.integer(events.filter((event) => server.latency.reset(event)).length)
}

const COLUMNS = 80
const ROWS = 4

function graph({ server, reply }: Call, argv: Argv): void {
  const event = argv.text(2)
  const spikes = server.latency.events.get(event)
  if (spikes === undefined) throw fail(`No samples available for event '${event}'`)
  const all = spikes.last.map(({ ms }) => ms)
  const curve = sparkline(
    spikes.last.map(({ time, ms }) => ({ value: ms, label: ago(Math.floor(server.now / 1000) - time) })),
    COLUMNS,
    ROWS,
  )
  reply.verbatim(
    `${event} - high ${Math.max(...all)} ms, low ${Math.min(...all)} ms (all time high ${spikes.worst} ms)\n${'-'.repeat(COLUMNS)}\n${curve}`,
  )
}

/** Seconds as people say them: 5s, 3m, 2h, 4d. */
function ago(seconds: number): string {
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`
}

/** The bounds of LATENCY HISTOGRAM begin with 1024 ns. */
const FIRST_BOUND = 1024

/** Commands that were called; of a container that is named, its subcommands. */
function histograms({ server, reply }: Call, argv: Argv): void {
  const found: CommandEntry[] = []
  const named = Array.from({ length: argv.count - 2 }, (_, i) => server.commands.named(argv.word(i + 2)))
  for (const entry of argv.count === 2 ? server.commands.entries.values() : named)
    if (entry !== undefined) found.push(entry, ...(entry.subcommands?.values() ?? []))
  const called = found.filter(({ stats }) => stats.latency !== undefined)
  reply.map(called.length)
  for (const { fullName, stats } of called) {
    reply.text(fullName)
    reply.map(2)
    reply.text('calls')
    reply.integer(stats.latency!.total)
    reply.text('histogram_usec')
    const steps = [...stats.latency!.doublings(FIRST_BOUND)]
    reply.map(steps.length)
    for (const [most, count] of steps) {
      reply.integer(Math.floor(most / 1000))
      reply.integer(count)
    }
  }
}

const NOT_MONITORED =
  "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis instance. You may use \"CONFIG SET latency-monitor-threshold <milliseconds>.\" in order to enable it. If we weren't in a deep space mission I'd suggest to take a look at https://redis.io/topics/latency-monitor.\n"
const NO_SPIKES =
  'Dave, no latency spike was observed during the lifetime of this Redis instance, not in the slightest bit. I honestly think you ought to sit down calmly, take a stress pill, and think things over.\n'

/** What LATENCY DOCTOR says of the spikes, and what may help against them. */
function report(server: Server): string {
  const { latency, now, config } = server
  if (config.values.latencyMonitorThreshold === 0) return NOT_MONITORED
  if (latency.events.size === 0) return NO_SPIKES
  const events = [...latency.events].map(([event, spikes], i) => `${i + 1}. ${analysis(event, spikes, now / 1000)}\n`)
  const advice = adviceFor(server).map((text) => `- ${text}\n`)
  return `Dave, I have observed latency spikes in this Redis instance. You don't mind talking about it, do you Dave?\n\n${events.join('')}\nI have a few advices for you:\n\n${advice.join('')}`
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

function analysis(event: string, { last, worst }: Spikes, now: number): string {
  const all = last.map(({ ms }: Spike) => ms)
  const average = Math.floor(mean(all))
  const deviation = Math.floor(mean(all.map((ms) => Math.abs(average - ms))))
  const period = (Math.floor(now) - last[0]!.time) / last.length
  return `${event}: ${all.length} latency spikes (average ${average}ms, mean deviation ${deviation}ms, period ${period.toFixed(2)} sec). Worst all time event ${worst}ms.`
}

function adviceFor({ config, latency }: Server): string[] {
  const { slowlogLogSlowerThan: slower, latencyMonitorThreshold: threshold } = config.values
  const advice: string[] = []
  const isDisabled = slower < 0
  if (isDisabled || slower / 1000 > threshold)
    advice.push(
      `${isDisabled ? "There are latency issues with potentially slow commands you are using. Try to enable the Slow Log Redis feature using the command 'CONFIG SET slowlog-log-slower-than " : "Your current Slow Log configuration only logs events that are slower than your configured latency monitor threshold. Please use 'CONFIG SET slowlog-log-slower-than "}${threshold * 1000}'.`,
    )
  advice.push(
    'Check your Slow Log to understand what are the commands you are running which are too slow to execute. Please check https://redis.io/commands/slowlog for more information.',
  )
  if (latency.events.has('command'))
    advice.push(
      'Deleting, expiring or evicting (because of maxmemory policy) large objects is a blocking operation. If you have very large objects that are often deleted, expired, or evicted, try to fragment those objects into multiple smaller objects.',
    )
  return advice
}
