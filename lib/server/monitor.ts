/** MONITOR: every command, as it was carried out, to those who asked to see it. */
import type { CommandEntry } from '../commands/table.ts'
import type { Argv } from '../resp/argv.ts'
import { quoteBytes } from '../resp/quote.ts'
import type { Client } from './client.ts'
import { shownArgument } from './redact.ts'
import type { Server } from './server.ts'

/** Sends `+1339518083.107412 [0 127.0.0.1:60866] "keys" "*"` to all monitors. Commands for administrators are too
 *  dangerous to be shown. */
export function feedMonitors(server: Server, client: Client, entry: CommandEntry, argv: Argv): void {
  const { flags } = entry.command
  if (flags.includes('skip_monitor') || flags.includes('admin')) return
  let line = `${(server.now / 1000).toFixed(6)} [${client.db} ${origin(client)}]`
  for (let i = 0; i < argv.count; i++) line += ` ${quoteBytes(shownArgument(entry, argv, i))}`
  for (const monitor of server.monitors) {
    monitor.reply.simple(line)
    server.flushLater(monitor)
  }
}

const origin = (client: Client): string =>
  client.address.startsWith('/') ? `unix:${client.address.replace(/:0$/, '')}` : client.address
