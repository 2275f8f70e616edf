/** `<COMMAND> HELP`: the same first line and last entry for every container. */
import { type ClientError, fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Reply } from '../resp/reply.ts'

/** What the rows of `<COMMAND> HELP` have in common. */
export const HELP_ROW = {
  name: 'help',
  arity: 2,
  flags: ['loading', 'stale'],
  since: '5.0.0',
  summary: 'Show helpful text about the different subcommands',
  complexity: 'O(1)',
} as const

/** Answers the lines of `body`, a text with one entry after the other, as redis-server 7.0 frames them. */
export function replyHelp(reply: Reply, command: string, body: string): void {
  const lines = [
    `${command} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`,
    ...body.trim().split('\n'),
    'HELP',
    '    Prints this help.',
  ]
  reply.array(lines.length)
  for (const line of lines) reply.simple(line)
}

/** A subcommand with optional arguments was given too many of them. */
export const tooManyArguments = (container: string, argv: Argv): ClientError =>
  fail(`unknown subcommand or wrong number of arguments for '${argv.text(1)}'. Try ${container} HELP.`)
