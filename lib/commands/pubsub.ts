/** Subscribing, publishing, and looking at who listens. Delivery itself is `server/pubsub.ts`. */
import { globMatch } from '../base/glob.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import type { SubscriptionKind } from '../server/pubsub.ts'
import { family, type KeyPositions } from './define.ts'
import { replyHelp, tooManyArguments } from './help.ts'

/** Shard channels are routed as keys are, though they are none. */
const shardChannels = (last: number): KeyPositions => ({
  first: 1,
  last,
  step: 1,
  flags: ['not_key'],
  channels: true,
})

export const pubsubCommands = family(
  {
    name: 'subscribe',
    arity: -2,
    flags: ['pubsub', 'noscript', 'loading', 'stale'],
    group: 'pubsub',
    since: '2.0.0',
    summary: 'Listen for messages published to the given channels',
    complexity: 'O(N) where N is the number of channels to subscribe to.',
    arguments: [{ name: 'channel', type: 'string', multiple: true }],
    run: (call, argv) => subscribe(call, argv, 'channel'),
  },
  {
    name: 'unsubscribe',
    arity: -1,
    flags: ['pubsub', 'noscript', 'loading', 'stale'],
    group: 'pubsub',
    since: '2.0.0',
    summary: 'Stop listening for messages posted to the given channels',
    complexity: 'O(N) where N is the number of clients already subscribed to a channel.',
    arguments: [{ name: 'channel', type: 'string', optional: true, multiple: true }],
    run: (call, argv) => unsubscribe(call, argv, 'channel'),
  },
  {
    name: 'psubscribe',
    arity: -2,
    flags: ['pubsub', 'noscript', 'loading', 'stale'],
    group: 'pubsub',
    since: '2.0.0',
    summary: 'Listen for messages published to channels matching the given patterns',
    complexity: 'O(N) where N is the number of patterns the client is already subscribed to.',
    arguments: [{ name: 'pattern', type: 'block', multiple: true, arguments: [{ name: 'pattern', type: 'pattern' }] }],
    run: (call, argv) => subscribe(call, argv, 'pattern'),
  },
  {
    name: 'punsubscribe',
    arity: -1,
    flags: ['pubsub', 'noscript', 'loading', 'stale'],
    group: 'pubsub',
    since: '2.0.0',
    summary: 'Stop listening for messages posted to channels matching the given patterns',
    complexity:
      'O(N+M) where N is the number of patterns the client is already subscribed and M is the number of total patterns subscribed in the system (by any client).',
    arguments: [{ name: 'pattern', type: 'pattern', optional: true, multiple: true }],
    run: (call, argv) => unsubscribe(call, argv, 'pattern'),
  },
  {
    name: 'publish',
    arity: 3,
    flags: ['pubsub', 'loading', 'stale', 'fast', 'may_replicate'],
    group: 'pubsub',
    since: '2.0.0',
    summary: 'Post a message to a channel',
    complexity:
      'O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total number of subscribed patterns (by any client).',
    arguments: [
      { name: 'channel', type: 'string' },
      { name: 'message', type: 'string' },
    ],
    run: (call, argv) => publish(call, argv, false),
  },
  {
    name: 'ssubscribe',
    arity: -2,
    flags: ['pubsub', 'noscript', 'loading', 'stale'],
    keys: shardChannels(-1),
    group: 'pubsub',
    since: '7.0.0',
    summary: 'Listen for messages published to the given shard channels',
    complexity: 'O(N) where N is the number of shard channels to subscribe to.',
    arguments: [{ name: 'shardchannel', type: 'string', multiple: true }],
    run: (call, argv) => subscribe(call, argv, 'shard'),
  },
  {
    name: 'sunsubscribe',
    arity: -1,
    flags: ['pubsub', 'noscript', 'loading', 'stale'],
    keys: shardChannels(-1),
    group: 'pubsub',
    since: '7.0.0',
    summary: 'Stop listening for messages posted to the given shard channels',
    complexity: 'O(N) where N is the number of clients already subscribed to a shard channel.',
    arguments: [{ name: 'shardchannel', type: 'string', optional: true, multiple: true }],
    run: (call, argv) => unsubscribe(call, argv, 'shard'),
  },
  {
    name: 'spublish',
    arity: 3,
    flags: ['pubsub', 'loading', 'stale', 'fast', 'may_replicate'],
    keys: shardChannels(1),
    group: 'pubsub',
    since: '7.0.0',
    summary: 'Post a message to a shard channel',
    complexity: 'O(N) where N is the number of clients subscribed to the receiving shard channel.',
    arguments: [
      { name: 'shardchannel', type: 'string' },
      { name: 'message', type: 'string' },
    ],
    run: (call, argv) => publish(call, argv, true),
  },
  {
    name: 'pubsub',
    arity: -2,
    flags: [],
    group: 'pubsub',
    since: '2.8.0',
    summary: 'A container for Pub/Sub commands',
    complexity: 'Depends on subcommand.',
    subcommands: [
      {
        name: 'channels',
        arity: -2,
        flags: ['pubsub', 'loading', 'stale'],
        group: 'pubsub',
        since: '2.8.0',
        summary: 'List active channels',
        complexity:
          'O(N) where N is the number of active channels, and assuming constant time pattern matching (relatively short channels and patterns)',
        arguments: [{ name: 'pattern', type: 'pattern', optional: true }],
        run: (call, argv) => listChannels(call, argv, 'channel'),
      },
      {
        name: 'help',
        arity: 2,
        flags: ['loading', 'stale'],
        group: 'pubsub',
        since: '6.2.0',
        summary: 'Show helpful text about the different subcommands',
        complexity: 'O(1)',
        run: ({ reply }) => replyHelp(reply, 'PUBSUB', HELP),
      },
      {
        name: 'numpat',
        arity: 2,
        flags: ['pubsub', 'loading', 'stale'],
        group: 'pubsub',
        since: '2.8.0',
        summary: 'Get the count of unique patterns pattern subscriptions',
        complexity: 'O(1)',
        run: ({ server, reply }) => reply.integer(server.pubsub.size('pattern')),
      },
      {
        name: 'numsub',
        arity: -2,
        flags: ['pubsub', 'loading', 'stale'],
        group: 'pubsub',
        since: '2.8.0',
        summary: 'Get the count of subscribers for channels',
        complexity: 'O(N) for the NUMSUB subcommand, where N is the number of requested channels',
        arguments: [{ name: 'channel', type: 'string', optional: true, multiple: true }],
        run: (call, argv) => countListeners(call, argv, 'channel'),
      },
      {
        name: 'shardchannels',
        arity: -2,
        flags: ['pubsub', 'loading', 'stale'],
        group: 'pubsub',
        since: '7.0.0',
        summary: 'List active shard channels',
        complexity:
          'O(N) where N is the number of active shard channels, and assuming constant time pattern matching (relatively short shard channels).',
        arguments: [{ name: 'pattern', type: 'pattern', optional: true }],
        run: (call, argv) => listChannels(call, argv, 'shard'),
      },
      {
        name: 'shardnumsub',
        arity: -2,
        flags: ['pubsub', 'loading', 'stale'],
        group: 'pubsub',
        since: '7.0.0',
        summary: 'Get the count of subscribers for shard channels',
        complexity: 'O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels',
        arguments: [{ name: 'shardchannel', type: 'string', optional: true, multiple: true }],
        run: (call, argv) => countListeners(call, argv, 'shard'),
      },
    ],
  },
)

const HELP = `
CHANNELS [<pattern>]
    Return the currently active channels matching a <pattern> (default: '*').
NUMPAT
    Return number of subscriptions to patterns.
NUMSUB [<channel> ...]
    Return the number of subscribers for the specified channels, excluding
    pattern subscriptions(default: no channels).
SHARDCHANNELS [<pattern>]
    Return the currently active shard level channels matching a <pattern> (default: '*').
SHARDNUMSUB [<shardchannel> ...]
    Return the number of subscribers for the specified shard level channel(s)
`

function subscribe({ server, client }: Call, argv: Argv, kind: SubscriptionKind): void {
  for (let i = 1; i < argv.count; i++) server.pubsub.subscribe(client, kind, argv.text(i))
}

function unsubscribe({ server, client }: Call, argv: Argv, kind: SubscriptionKind): void {
  if (argv.count === 1) return server.pubsub.unsubscribeAll(client, kind)
  for (let i = 1; i < argv.count; i++) server.pubsub.unsubscribe(client, kind, argv.text(i))
}

/** To our own subscribers, then to the other nodes: over the bus in a cluster, otherwise to replicas in the stream.
 *  The count is of our own. */
function publish(call: Call, argv: Argv, sharded: boolean): void {
  const { server, reply } = call
  const channel = argv.at(1)
  const message = argv.at(2)
  const receivers = sharded
    ? server.pubsub.deliverSharded(server, channel, message)
    : server.pubsub.deliver(server, channel, message)
  if (server.cluster === undefined) call.forcePropagate()
  else server.cluster.publish(sharded, channel, message)
  reply.integer(receivers)
}

function listChannels({ server, reply }: Call, argv: Argv, kind: SubscriptionKind): void {
  if (argv.count > 3) throw tooManyArguments('PUBSUB', argv)
  const names = [...server.pubsub.names(kind)].map((name) => Buffer.from(name, 'latin1'))
  const found = argv.count === 2 ? names : names.filter((name) => globMatch(argv.at(2), name))
  reply.array(found.length)
  for (const name of found) reply.bulk(name)
}

function countListeners({ server, reply }: Call, argv: Argv, kind: SubscriptionKind): void {
  reply.array((argv.count - 2) * 2)
  for (let i = 2; i < argv.count; i++) {
    reply.bulkRange(argv.buffer, argv.starts[i]!, argv.ends[i]!)
    reply.integer(server.pubsub.listeners(kind, argv.text(i)))
  }
}
