/** `<COMMAND> HELP`: the same first line and last entry for every container. */
import type { Reply } from '../resp/reply.ts'

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
