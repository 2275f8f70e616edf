/** What the rows of CLUSTER's subcommands share. */
import type { Operation } from '../../bus/event.ts'
import { CLUSTER_DISABLED, ClientError, fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import type { ClusterDoor } from '../server/cluster-door.ts'
import type { ArgumentDoc, Command, CommandFlag } from './define.ts'

export const ADMIN: readonly CommandFlag[] = ['admin', 'stale', 'no_async_loading']
export const VIEW: readonly CommandFlag[] = ['stale']
export const RANDOM_OUTPUT = ['nondeterministic_output']

export const nodeArg: readonly ArgumentDoc[] = [{ name: 'node-id', type: 'string' }]

type Row = Omit<Command, 'group' | 'since' | 'run'> & { readonly since?: string; readonly run: Body }
type Body = (door: ClusterDoor, call: Call, argv: Argv) => void

/** A subcommand: refused without cluster support, then run on the door. */
export const sub = (row: Row): Command => ({
  since: '3.0.0',
  group: 'cluster',
  ...row,
  run: (call, argv) => row.run(doorOf(call), call, argv),
})

/** Throws for a server without cluster support. */
export function doorOf(call: Call): ClusterDoor {
  if (call.server.cluster === undefined) throw CLUSTER_DISABLED
  return call.server.cluster
}

/** Asks the cluster core, and replies with what it says. */
export function operate(door: ClusterDoor, call: Call, operation: Operation): void {
  const answer = door.ask(operation)
  if (answer === undefined) call.reply.ok()
  else if ('error' in answer) throw new ClientError(answer.error)
  else call.reply.simple(answer.text)
}

/** Words that the subcommand does not know. */
export const wrongWords = (name: string): ClientError =>
  fail(`unknown subcommand or wrong number of arguments for '${name}'. Try CLUSTER HELP.`)
