/** How fast a start is: a million small keys and 200,000 commands after them, ours from a checkpoint and a segment beside redis-server
 *  from its base file and its increment:
 *
 *      npm run bench:start [-- --keys 1000000 --commands 200000 --rounds 5]
 *
 *  The time is the one each server logs itself ("DB loaded from append only file"), in turn, A B A B. Needs redis-server. */
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { ask, fields } from '../test/support/client.ts'
import { eventually } from '../test/support/eventually.ts'
import { type Server, startServer } from '../test/support/process.ts'
import { fill } from './support/filling.ts'
import { median } from './support/median.ts'
import { run } from './support/run.ts'

const { values: options } = parseArgs({
  options: {
    keys: { type: 'string', default: '1000000' },
    commands: { type: 'string', default: '200000' },
    rounds: { type: 'string', default: '5' },
  },
})
const KEYS = Number(options.keys)
const PATIENCE_MS = 600_000
const VALUE = 'v'.repeat(64)
const CONF = { appendonly: 'yes', 'auto-aof-rewrite-percentage': '0' }

const LOADED = /DB loaded from append only file: ([\d.]+) seconds/g

/** A server that is stopped, with the data set on its disk. */
async function filled(kind: 'rookery' | 'redis'): Promise<Server> {
  const server = await startServer({ kind, conf: CONF })
  await fill(server.port, KEYS, (i) => ['SET', `key:${String(i).padStart(12, '0')}`, VALUE])
  await ask(server.port, 'BGREWRITEAOF')
  await eventually(() => fields(server.port, 'INFO', 'persistence'), {
    what: 'the keys are in the checkpoint',
    withinMs: PATIENCE_MS,
    until: (info) => info['aof_rewrite_in_progress'] === '0',
  })
  await fill(server.port, Number(options.commands), (i) => [
    'SET',
    `key:${String((i * 7919) % KEYS).padStart(12, '0')}`,
    VALUE,
  ])
  await server.kill('SIGTERM')
  return server
}

/** Seconds of one start, as the server says. */
async function startOnce(server: Server): Promise<number> {
  const said = server.log.match(LOADED)?.length ?? 0
  server.launch()
  await eventually(() => (server.log.match(LOADED)?.length ?? 0) > said, {
    what: 'it is loaded',
    withinMs: PATIENCE_MS,
  })
  const seconds = Number([...server.log.matchAll(LOADED)].at(-1)![1])
  await eventually(() => ask(server.port, 'DBSIZE'), {
    what: 'all keys are there',
    withinMs: PATIENCE_MS,
    until: (size) => size === KEYS,
  })
  await server.kill('SIGKILL')
  return seconds
}

await run(async () => {
  const [ours, theirs] = [await filled('rookery'), await filled('redis')]
  const times: { readonly ours: number; readonly theirs: number }[] = []
  for (let round = 0; round < Number(options.rounds); round++)
    times.push({ ours: await startOnce(ours), theirs: await startOnce(theirs) })
  const table = new Table({
    head: ['', 'median s', 'all, s'],
    style: { head: [], border: [] },
  })
  const [mine, others] = [times.map((time) => time.ours), times.map((time) => time.theirs)]
  for (const [name, seconds] of [
    ['rookery', mine],
    ['redis-server', others],
  ] as const)
    table.push([name, median(seconds).toFixed(3), seconds.map((one) => one.toFixed(3)).join(' ')])
  process.stdout.write(`${KEYS} keys and ${options.commands} commands\n${table}\n`)
  const ratio = (of: (values: readonly number[]) => number): string => (of(others) / of(mine)).toFixed(2)
  const fastest = (values: readonly number[]): number => Math.min(...values)
  process.stdout.write(`speed, ours to theirs: ${ratio(median)} by the medians, ${ratio(fastest)} by the fastest\n`)
})
