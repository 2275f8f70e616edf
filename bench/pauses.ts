/** How long our event loop pauses: many keys and a few large collections, a mixed load, and beside it a checkpoint, a full synchronisation
 *  and a dump:
 *
 *      npm run bench:pauses [-- --keys 5000000 --elements 1000000 --seconds 10 --clients 20]
 *
 *  Milliseconds by which the loop was late, looked at each millisecond inside the server by a module that is preloaded: seen from
 *  outside, the delays of the load's own process would be counted too. "own" leaves out what the server's thread waited for a core
 *  that other programs had (/proc/.../schedstat). The replica is a redis-server. Needs redis-server. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { ask, type Client, connect, fields } from '../test/support/client.ts'
import { eventually, sleep } from '../test/support/eventually.ts'
import { type Server, startServer } from '../test/support/process.ts'
import type { Delays, Quantiles } from './support/delays.ts'
import { fill } from './support/filling.ts'
import { run } from './support/run.ts'

const { values: options } = parseArgs({
  options: {
    keys: { type: 'string', default: '5000000' },
    elements: { type: 'string', default: '1000000' },
    seconds: { type: 'string', default: '10' },
    clients: { type: 'string', default: '20' },
  },
})
const KEYS = Number(options.keys)
/** Of each large collection. */
const ELEMENTS = Number(options.elements)
const PATIENCE_MS = 600_000
/** Commands a client sends at once. */
const PIPELINE = 8

const folder = mkdtempSync(join(tmpdir(), 'rookery-bench-'))
const delaysFile = join(folder, 'delays.json')

/** Every tenth key is a small collection. */
function filling(i: number): readonly string[] {
  switch (i % 40) {
    case 0:
      return ['HSET', `hash:${i}`, 'name', `value ${i}`, 'count', String(i)]
    case 10:
      return ['RPUSH', `list:${i}`, 'one', 'two', String(i)]
    case 20:
      return ['SADD', `set:${i}`, 'one', 'two', String(i)]
    case 30:
      return ['ZADD', `zset:${i}`, '1', 'one', String(i), 'other']
    default:
      return ['SET', `key:${i}`, `value of some length, number ${i}`]
  }
}

function element(i: number): readonly string[] {
  const rest = `${i} of a large collection`
  switch (i % 4) {
    case 0:
      return ['HSET', 'large:hash', `field ${i}`, rest]
    case 1:
      return ['SADD', 'large:set', rest]
    case 2:
      return ['ZADD', 'large:zset', String(i % 1000), rest]
    default:
      return ['RPUSH', 'large:list', rest]
  }
}

const some = (step: number, of: number): number => Math.floor((Math.random() * KEYS) / step) * step + of

const MIX: readonly (() => readonly string[])[] = [
  () => ['GET', `key:${some(40, 1)}`],
  () => ['GET', `key:${some(40, 7)}`],
  () => ['SET', `key:${some(40, 2)}`, `another value ${Math.random()}`],
  () => ['SET', `brief:${some(1, 0)}`, 'x', 'PX', '3000'],
  () => ['INCR', `count:${some(40, 3)}`],
  () => ['DEL', `key:${some(40, 4)}`],
  () => ['HSET', `hash:${some(40, 0)}`, 'count', String(Math.random())],
  () => ['RPUSH', `list:${some(40, 10)}`, 'more'],
  () => ['SADD', `set:${some(40, 20)}`, String(Math.random())],
  () => ['ZADD', `zset:${some(40, 30)}`, String(Math.random()), 'one'],
  () => ['ZRANGE', `zset:${some(40, 30)}`, '0', '-1'],
  () => element(Math.floor(Math.random() * ELEMENTS * 4)),
  () => ['HDEL', 'large:hash', `field ${Math.floor(Math.random() * ELEMENTS) * 4}`],
]

/** Sends pieces of the mix until it is told to stop. */
class Load {
  commands = 0
  #isOver = false
  readonly #running: Promise<void>[] = []

  async start(port: number): Promise<void> {
    for (let i = 0; i < Number(options.clients); i++) this.#running.push(this.#run(await connect(port, PATIENCE_MS)))
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#running)
  }

  async #run(client: Client): Promise<void> {
    while (!this.#isOver) {
      await client.pipeline(Array.from({ length: PIPELINE }, () => MIX[Math.floor(Math.random() * MIX.length)]!()))
      this.commands += PIPELINE
    }
    client.close()
  }
}

/** What the server has measured since the last time. */
async function delaysOf(pid: number): Promise<Delays> {
  rmSync(delaysFile, { force: true })
  process.kill(pid, 'SIGUSR2')
  await eventually(() => existsSync(delaysFile), { what: 'the delays are written', withinMs: PATIENCE_MS })
  return JSON.parse(readFileSync(delaysFile, 'utf8')) as Delays
}

const until = (server: Server, section: string, name: string, value: string): Promise<unknown> =>
  eventually(() => fields(server.port, 'INFO', section), {
    what: `${name} is ${value}`,
    withinMs: PATIENCE_MS,
    until: (info) => info[name] === value,
  })

const QUANTILES = 'p50 / p99 / p99.9 / max'
const HEAD = ['beside the load', 'seconds', 'commands/s', `late: ${QUANTILES}`, `own: ${QUANTILES}`, 'longest GC']

const shown = ({ p50, p99, p999, max }: Quantiles): string =>
  [p50, p99, p999, max].map((ms) => ms.toFixed(1)).join(' / ')

/** The phases: what goes on beside the load, and how it is known to be over. */
function phasesOf(server: Server): readonly (readonly [name: string, run: () => Promise<unknown>])[] {
  const { port } = server
  return [
    ['nothing', () => sleep(Number(options.seconds) * 1000)],
    [
      'checkpoint of all keys',
      async () => {
        await ask(port, 'CONFIG', 'SET', 'appendonly', 'yes')
        await until(server, 'persistence', 'aof_rewrites', '1')
      },
    ],
    [
      'checkpoint of changes',
      async () => {
        await ask(port, 'BGREWRITEAOF')
        await until(server, 'persistence', 'aof_rewrite_in_progress', '0')
      },
    ],
    [
      'full synchronisation',
      async () => {
        const replica = await startServer({ kind: 'redis', conf: { replicaof: `127.0.0.1 ${port}` } })
        await until(replica, 'replication', 'master_link_status', 'up')
        await replica.remove()
      },
    ],
    [
      'checkpoint, full synchronisation and BGSAVE',
      async () => {
        const replica = await startServer({ kind: 'redis', conf: { replicaof: `127.0.0.1 ${port}` } })
        await ask(port, 'BGSAVE')
        await until(server, 'persistence', 'rdb_bgsave_in_progress', '0')
        await ask(port, 'BGREWRITEAOF')
        await until(server, 'persistence', 'aof_rewrite_in_progress', '0')
        await until(replica, 'replication', 'master_link_status', 'up')
        await replica.remove()
      },
    ],
    ['FLUSHALL', () => ask(port, 'FLUSHALL')],
  ]
}

async function measure(): Promise<void> {
  process.env['ROOKERY_BENCH_DELAYS'] = delaysFile
  const probe = fileURLToPath(new URL('./support/delays.js', import.meta.url))
  process.env['NODE_OPTIONS'] = `--import=${pathToFileURL(probe).href}`
  const server = await startServer({ kind: 'rookery' })
  delete process.env['NODE_OPTIONS']
  const pid = Number((await fields(server.port, 'INFO', 'server'))['process_id'])
  await fill(server.port, KEYS, filling)
  await fill(server.port, ELEMENTS * 4, element)
  const load = new Load()
  await load.start(server.port)
  await delaysOf(pid)
  const table = new Table({ head: HEAD, style: { head: [], border: [] } })
  for (const [name, run] of phasesOf(server)) {
    const begun = performance.now()
    const before = load.commands
    await run()
    const delays = await delaysOf(pid)
    const seconds = (performance.now() - begun) / 1000
    const rate = Math.round((load.commands - before) / seconds)
    table.push([name, seconds.toFixed(1), rate, shown(delays.late), shown(delays.own), delays.gcMax.toFixed(1)])
  }
  await load.stop()
  process.stdout.write(
    `${KEYS} keys, ${ELEMENTS} elements in each large collection, ${options.clients} clients, ${PIPELINE} commands at a time; ms\n${table}\n`,
  )
}

try {
  await run(measure)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
