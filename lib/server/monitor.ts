/** MONITOR: every command, as it was carried out, to those who asked to see it. */
import type { CommandEntry } from '../commands/table.ts'
import type { Argv } from '../resp/argv.ts'
import { quoteBytes } from '../resp/quote.ts'
import type { Client } from './client.ts'
import { shownArgument } from './redact.ts'
import type { Server } from './server.ts'

/** A command was carried out. Commands for administrators are too dangerous to be shown; some show themselves. */
export function feedMonitors(server: Server, client: Client, entry: CommandEntry, argv: Argv): void {
  const { flags } = entry.command
  if (!flags.includes('skip_monitor') && !flags.includes('admin')) showToMonitors(server, client, entry, argv)
}

/** Sends `+1339518083.107412 [0 127.0.0.1:60866] "keys" "*"` to all monitors. */
export function showToMonitors(server: Server, client: Client, entry: CommandEntry, argv: Argv): void {
  if (server.monitors.size === 0) return
  let line = `${(server.now / 1000).toFixed(6)} [${client.db} ${origin(server, client)}]`
  for (let i = 0; i < argv.count; i++) line += ` ${quoteBytes(shownArgument(entry, argv, i))}`
  for (const monitor of server.monitors) {
    monitor.reply.simple(line)
    server.flushLater(monitor)
  }
}

/** The client's address; that of scripts is called lua. */
function origin({ replication }: Server, { address }: Client): string {
  if (address.startsWith('/')) return `unix:${address.replace(/:0$/, '')}`
  // Our primary's commands come over a connection of ours.
  return address === '' && replication.link !== undefined
    ? `${replication.link.host}:${replication.link.port}`
    : address
}
