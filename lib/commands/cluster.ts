/** CLUSTER and what belongs to it. Wishes go through the cluster core (`ask`); views are read from it. */
import { parseInteger } from '../base/bytes.ts'
import { fail, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import { CLUSTER_HELP } from './cluster-help.ts'
import { ADMIN, doorOf, nodeArg, operate, RANDOM_OUTPUT, sub, wrongWords } from './cluster-row.ts'
import { clusterSlotRows } from './cluster-slots.ts'
import { clusterViewRows } from './cluster-views.ts'
import { type ArgumentDoc, type Command, family } from './define.ts'

const subcommands: readonly Command[] = [
  ...clusterSlotRows,
  ...clusterViewRows,
  sub({
    name: 'bumpepoch',
    arity: 2,
    flags: ADMIN,
    tips: RANDOM_OUTPUT,
    summary: 'Advance the cluster config epoch',
    complexity: 'O(1)',
    run: (door, call) => operate(door, call, { name: 'bumpepoch' }),
  }),
  sub({
    name: 'failover',
    arity: -2,
    flags: ADMIN,
    summary: 'Forces a replica to perform a manual failover of its master.',
    complexity: 'O(1)',
    arguments: [optionalWord('options', 'force', 'takeover')],
    run: (door, call, argv) =>
      operate(door, call, { name: 'failover', mode: optionWord(argv, 'failover', 'plain', ['force', 'takeover']) }),
  }),
  sub({
    name: 'forget',
    arity: 3,
    flags: ADMIN,
    summary: 'Remove a node from the nodes table',
    complexity: 'O(1)',
    arguments: nodeArg,
    run: (door, call, argv) => operate(door, call, { name: 'forget', id: argv.text(2) }),
  }),
  {
    name: 'help',
    arity: 2,
    flags: ['loading', 'stale'],
    group: 'cluster',
    since: '5.0.0',
    summary: 'Show helpful text about the different subcommands',
    complexity: 'O(1)',
    run(call) {
      doorOf(call)
      call.reply.array(CLUSTER_HELP.length)
      for (const line of CLUSTER_HELP) call.reply.simple(line)
    },
  },
  sub({
    name: 'meet',
    arity: -4,
    flags: ADMIN,
    summary: 'Force a node cluster to handshake with another node',
    complexity: 'O(1)',
    arguments: [
      { name: 'ip', type: 'string' },
      { name: 'port', type: 'integer' },
      { name: 'cluster_bus_port', type: 'integer', optional: true, since: '4.0.0' },
    ],
    run(door, call, argv) {
      if (argv.count > 5) throw wrongWords('MEET')
      const port = portArgument(argv, 3, 'base')
      const busPort = argv.count === 5 ? portArgument(argv, 4, 'bus') : port + 10000
      operate(door, call, { name: 'meet', ip: argv.text(2), port, busPort })
    },
  }),
  sub({
    name: 'replicate',
    arity: 3,
    flags: ADMIN,
    summary: 'Reconfigure a node as a replica of the specified master node',
    complexity: 'O(1)',
    arguments: nodeArg,
    run: (door, call, argv) => operate(door, call, { name: 'replicate', id: argv.text(2) }),
  }),
  sub({
    name: 'reset',
    arity: -2,
    flags: ['admin', 'noscript', 'stale'],
    summary: 'Reset a Redis Cluster node',
    complexity: 'O(N) where N is the number of known nodes. The command may execute a FLUSHALL as a side effect.',
    arguments: [optionalWord('hard_soft', 'hard', 'soft')],
    run: (door, call, argv) =>
      operate(door, call, { name: 'reset', hard: optionWord(argv, 'reset', 'soft', ['hard', 'soft']) === 'hard' }),
  }),
  sub({
    name: 'saveconfig',
    arity: 2,
    flags: ADMIN,
    summary: 'Forces the node to save cluster state on disk',
    complexity: 'O(1)',
    run: (door, call) => operate(door, call, { name: 'saveconfig' }),
  }),
  sub({
    name: 'set-config-epoch',
    arity: 3,
    flags: ADMIN,
    summary: 'Set the configuration epoch in a new node',
    complexity: 'O(1)',
    arguments: [{ name: 'config-epoch', type: 'integer' }],
    run(door, call, argv) {
      const epoch = argv.integer(2)
      if (epoch < 0) throw fail(`Invalid config epoch specified: ${epoch}`)
      operate(door, call, { name: 'set-config-epoch', epoch })
    },
  }),
]

export const clusterCommands = family(
  {
    name: 'cluster',
    arity: -2,
    flags: [],
    group: 'cluster',
    since: '3.0.0',
    summary: 'A container for cluster commands',
    complexity: 'Depends on subcommand.',
    subcommands,
  },
  {
    name: 'asking',
    arity: 1,
    flags: ['fast'],
    group: 'cluster',
    categories: ['connection'],
    since: '3.0.0',
    summary: 'Sent by cluster clients after an -ASK redirect',
    complexity: 'O(1)',
    run(call) {
      doorOf(call)
      call.client.asking = true
      call.reply.ok()
    },
  },
  {
    name: 'readonly',
    arity: 1,
    flags: ['loading', 'stale', 'fast'],
    group: 'cluster',
    categories: ['connection'],
    since: '3.0.0',
    summary: 'Enables read queries for a connection to a cluster replica node',
    complexity: 'O(1)',
    run: (call) => setReadonly(call, true),
  },
  {
    name: 'readwrite',
    arity: 1,
    flags: ['loading', 'stale', 'fast'],
    group: 'cluster',
    categories: ['connection'],
    since: '3.0.0',
    summary: 'Disables read queries for a connection to a cluster replica node',
    complexity: 'O(1)',
    run: (call) => setReadonly(call, false),
  },
)

function optionalWord(name: string, ...words: string[]): ArgumentDoc {
  return {
    name,
    type: 'oneof',
    optional: true,
    arguments: words.map((word) => ({ name: word, type: 'pure-token', token: word.toUpperCase() })),
  }
}

function setReadonly(call: Call, readonly: boolean): void {
  doorOf(call)
  call.client.readonly = readonly
  call.reply.ok()
}

function portArgument(argv: Argv, i: number, which: 'base' | 'bus'): number {
  const port = parseInteger(argv.buffer, argv.starts[i], argv.ends[i])
  if (port === undefined) throw fail(`Invalid TCP ${which} port specified: ${argv.text(i)}`)
  return port
}

/** The optional word behind FAILOVER or RESET. */
function optionWord<Default extends string, Word extends string>(
  argv: Argv,
  name: string,
  absent: Default,
  words: readonly Word[],
): Default | Word {
  if (argv.count === 2) return absent
  if (argv.count > 3) throw wrongWords(name.toUpperCase())
  const given = argv.word(2)
  const word = words.find((candidate) => candidate === given)
  if (word === undefined) throw SYNTAX
  return word
}
