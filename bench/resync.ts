/** What a replica is sent after a crash: a data set of 1 GB, 1 MB of new writes while one side is away, killed with SIGKILL:
 *
 *      npm run bench:resync [-- --megabytes 1000 --new 1]
 *
 *  First the replica is killed and restarted, then the primary. Backlogs of 16 KiB, so that what is missing comes from the segments on
 *  the disk. */
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { ask, connect, fields } from '../test/support/client.ts'
import { eventually } from '../test/support/eventually.ts'
import { type Conf, type Server, startServer } from '../test/support/process.ts'
import { fill } from './support/filling.ts'
import { run } from './support/run.ts'

const { values: options } = parseArgs({
  options: { megabytes: { type: 'string', default: '1000' }, new: { type: 'string', default: '1' } },
})
const MEGABYTE = 1_000_000
const VALUE = 'x'.repeat(960)
/** A request of SET with such a value and a key of this script. */
const COMMAND_BYTES = 1000
const PATIENCE_MS = 600_000
const CONF: Conf = { appendonly: 'yes', 'repl-backlog-size': '16kb' }

const write = (server: Server, prefix: string, megabytes: number): Promise<void> =>
  fill(server.port, (megabytes * MEGABYTE) / COMMAND_BYTES, (i) => ['SET', `${prefix}:${i}`, VALUE])

/** What a primary counts since its start: bytes sent to replicas, partial and full synchronisations. */
async function countsOf(primary: Server): Promise<readonly [sent: number, partial: number, full: number]> {
  const stats = await fields(primary.port, 'INFO', 'stats')
  return [Number(stats['total_net_repl_output_bytes']), Number(stats['sync_partial_ok']), Number(stats['sync_full'])]
}

async function inStep(primary: Server, replica: Server): Promise<void> {
  const isReached = async (): Promise<boolean> => {
    const one = await fields(primary.port, 'INFO', 'replication')
    const other = await fields(replica.port, 'INFO', 'replication')
    return other['master_link_status'] === 'up' && one['master_repl_offset'] === other['slave_repl_offset']
  }
  await eventually(isReached, { what: 'the replica has everything', withinMs: PATIENCE_MS })
}

/** The data set may take longer to load than a server of the tests has to start. */
async function restart(server: Server): Promise<void> {
  server.launch()
  await eventually(() => ask(server.port, 'PING'), { what: 'the server answers', withinMs: PATIENCE_MS })
}

/** Of all data: takes a while. */
async function digestOf(server: Server): Promise<string> {
  const client = await connect(server.port, PATIENCE_MS)
  const digest = await client.text('DEBUG', 'DIGEST')
  client.close()
  return digest
}

/** Kills one side; the primary writes what is new while the replica is away, or right after its own return. */
async function killed(victim: Server, primary: Server, replica: Server): Promise<readonly (string | number)[]> {
  await victim.kill('SIGKILL')
  if (victim === replica) await write(primary, 'second', Number(options.new))
  const before = victim === replica ? await countsOf(primary) : [0, 0, 0]
  await restart(victim)
  const begun = performance.now()
  if (victim === primary) await write(primary, 'third', Number(options.new))
  await inStep(primary, replica)
  const seconds = (performance.now() - begun) / 1000
  const counts = (await countsOf(primary)).map((count, i) => count - before[i]!)
  const digests = [await digestOf(primary), await digestOf(replica)]
  const name = victim === replica ? 'the replica' : 'the primary'
  return [name, ...counts, seconds.toFixed(1), digests[0] === digests[1] ? 'yes' : 'NO']
}

await run(async () => {
  const primary = await startServer({ kind: 'rookery', conf: CONF })
  const replica = await startServer({ kind: 'rookery', conf: { ...CONF, replicaof: `127.0.0.1 ${primary.port}` } })
  await inStep(primary, replica)
  await write(primary, 'first', Number(options.megabytes))
  await inStep(primary, replica)
  const table = new Table({
    head: ['killed and restarted', 'bytes sent', 'partial', 'full', 'seconds until in step', 'identical'],
    style: { head: [], border: [] },
  })
  for (const victim of [replica, primary]) table.push([...(await killed(victim, primary, replica))])
  process.stdout.write(`${options.megabytes} MB of data, ${options.new} MB of new writes\n${table}\n`)
})
