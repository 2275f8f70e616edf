/** MULTI, EXEC and the watched keys that may call a transaction off. */
import { EXEC_ABORT, fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import type { Client, Multi } from '../server/client.ts'
import { execute } from '../server/dispatch.ts'
import type { Server } from '../server/server.ts'
import { allKeys, family } from './define.ts'

export const transactionCommands = family(
  {
    name: 'multi',
    arity: 1,
    flags: ['noscript', 'loading', 'stale', 'fast', 'allow_busy'],
    group: 'transactions',
    since: '1.2.0',
    summary: 'Mark the start of a transaction block',
    complexity: 'O(1)',
    run: multi,
  },
  {
    name: 'exec',
    arity: 1,
    flags: ['noscript', 'loading', 'stale', 'skip_slowlog'],
    group: 'transactions',
    since: '1.2.0',
    summary: 'Execute all commands issued after MULTI',
    complexity: 'Depends on commands in the transaction',
    run: exec,
  },
  {
    name: 'discard',
    arity: 1,
    flags: ['noscript', 'loading', 'stale', 'fast', 'allow_busy'],
    group: 'transactions',
    since: '2.0.0',
    summary: 'Discard all commands issued after MULTI',
    complexity: 'O(N), when N is the number of queued commands',
    run: discard,
  },
  {
    name: 'watch',
    arity: -2,
    flags: ['noscript', 'loading', 'stale', 'fast', 'allow_busy'],
    keys: allKeys('RO'),
    group: 'transactions',
    since: '2.2.0',
    summary: 'Watch the given keys to determine execution of the MULTI/EXEC block',
    complexity: 'O(1) for every key.',
    arguments: [{ name: 'key', type: 'key', multiple: true, keySpec: 0 }],
    run: watch,
  },
  {
    name: 'unwatch',
    arity: 1,
    flags: ['noscript', 'loading', 'stale', 'fast', 'allow_busy'],
    group: 'transactions',
    since: '2.2.0',
    summary: 'Forget about all watched keys',
    complexity: 'O(1)',
    run: unwatch,
  },
)

function multi({ client, reply }: Call): void {
  if (client.multi !== undefined) throw fail('MULTI calls can not be nested')
  client.multi = { queue: [], aborted: false }
  reply.ok()
}

/** Runs the queue. What its commands change is propagated as one unit, because this call's own unit is around theirs;
 *  EXEC itself is not. Errors inside are replies like any other: nothing is rolled back. */
function exec(call: Call): void {
  const { server, client, reply } = call
  const { multi } = client
  if (multi === undefined) throw fail('EXEC without MULTI')
  const broken = server.watches.broken(client)
  if (multi.aborted || broken) {
    server.discardTransaction(client)
    if (multi.aborted) throw EXEC_ABORT
    return reply.nilArray()
  }
  call.propagate()
  server.watches.forget(client)
  reply.array(multi.queue.length)
  // `client.multi` stays set meanwhile: commands that would block see by it that they must not.
  carryOut(server, client, multi.queue, 0)
}

/** Carries out the queue from command `from` on. A script that takes too long is put aside, and the rest comes after it. */
function carryOut(server: Server, client: Client, queue: Multi['queue'], from: number): void {
  for (let i = from; i < queue.length; i++) {
    const { entry, argv } = queue[i]!
    const revoked = server.acl.revokes(client, entry, argv)
    if (revoked === undefined) execute(server, client, entry, argv)
    else server.replyError(client, revoked)
    if (server.scripting.aside) return server.scripting.afterwards(() => carryOut(server, client, queue, i + 1))
  }
  server.discardTransaction(client)
}

function discard({ server, client, reply }: Call): void {
  if (client.multi === undefined) throw fail('DISCARD without MULTI')
  server.discardTransaction(client)
  reply.ok()
}

function watch({ server, client, db, reply }: Call, argv: Argv): void {
  if (client.multi !== undefined) throw fail('WATCH inside MULTI is not allowed')
  // Once broken, the next EXEC fails whatever else is watched.
  if (!client.watchBroken) for (let i = 1; i < argv.count; i++) server.watches.watch(client, db, argv.key(i))
  reply.ok()
}

function unwatch({ server, client, reply }: Call): void {
  server.watches.forget(client)
  reply.ok()
}
