/** Commands per second and server CPU per command, ours beside redis-server in the same run:
 *
 *      npm run bench [-- --rounds 3 --tests set,get,incr --pipelines 1,16,100 --requests 200000]
 *
 *  redis-benchmark loads both servers in turn, A B A B; the table shows medians and ratios. Above 1, ours is cheaper or
 *  faster. Needs redis-server and redis-benchmark, and /proc for the CPU column. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { Connection } from '../lib/client/connection.ts'
import { median } from './support/median.ts'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    tests: { type: 'string', default: 'set,get,incr' },
    pipelines: { type: 'string', default: '1,16,100' },
    requests: { type: 'string', default: '200000' },
  },
})

interface Contender {
  readonly name: string
  readonly port: number
  readonly process: ChildProcess
}

interface Sample {
  /** User and system CPU of the server, microseconds a command. */
  readonly micros: number
  readonly perSecond: number
}

const BIN = fileURLToPath(new URL('../lib/bin.js', import.meta.url))

async function freePort(): Promise<number> {
  for (;;) {
    const port = await new Promise<number>((resolve) => {
      const probe = net.createServer()
      probe.listen(0, '127.0.0.1', () => {
        const { port } = probe.address() as net.AddressInfo
        probe.close(() => resolve(port))
      })
    })
    if (port < 55535) return port
  }
}

/** A cluster of one node that owns every slot. */
async function start(name: string, command: readonly string[], dir: string): Promise<Contender> {
  const port = await freePort()
  const [program, ...args] = command
  const directives = {
    port,
    dir,
    'cluster-enabled': 'yes',
    'cluster-config-file': `${name}.conf`,
    save: '',
    bind: '127.0.0.1',
  }
  const flags = Object.entries(directives).flatMap(([key, value]) => [`--${key}`, String(value)])
  const process = spawn(program!, [...args, ...flags], { stdio: 'ignore' })
  for (let tries = 0; ; tries++) {
    try {
      const node = await Connection.open({ port, timeoutMs: 1000 })
      if (tries === 0 || (await node.text('CLUSTER', 'COUNTKEYSINSLOT', 0)) === '0') {
        await node.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16383).catch(() => {})
        const ok = (await node.text('CLUSTER', 'INFO')).includes('cluster_state:ok')
        node.close()
        if (ok) return { name, port, process }
      }
    } catch (error) {
      if (process.exitCode !== null || tries > 200) throw new Error(`${name} did not start`, { cause: error })
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function cpuMicros(pid: number): number {
  const stat = `/proc/${pid}/stat`
  if (!existsSync(stat)) return Number.NaN
  const fields = readFileSync(stat, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

function load(contender: Contender, test: string, pipeline: number, requests: number): Sample {
  const pid = contender.process.pid!
  const before = cpuMicros(pid)
  const args = [
    '-p',
    contender.port,
    '-t',
    test,
    '-n',
    requests,
    '-c',
    50,
    '-P',
    pipeline,
    '-d',
    64,
    '-r',
    100_000,
    '-q',
  ]
  const out = execFileSync('redis-benchmark', args.map(String), { encoding: 'utf8' })
  const rate = [...out.matchAll(/([\d.]+) requests per second/g)].at(-1)
  if (rate === undefined) throw new Error(`redis-benchmark printed no rate for ${test}: ${out.slice(-200)}`)
  return { micros: (cpuMicros(pid) - before) / requests, perSecond: Number(rate[1]) }
}

function compare(ours: Contender, redis: Contender, test: string, pipeline: number): string[] {
  const requests = Number(options.requests) * (pipeline === 1 ? 0.5 : pipeline < 50 ? 2 : 4)
  const pairs: [Sample, Sample][] = []
  for (let round = 0; round <= Number(options.rounds); round++) {
    const pair: [Sample, Sample] = [load(ours, test, pipeline, requests), load(redis, test, pipeline, requests)]
    // The first round warms both up.
    if (round > 0) pairs.push(pair)
  }
  const of = (pick: (pair: [Sample, Sample]) => number, digits: number): string =>
    median(pairs.map(pick)).toFixed(digits)
  return [
    test,
    String(pipeline),
    of(([a]) => a.micros, 2),
    of(([, b]) => b.micros, 2),
    of(([a, b]) => b.micros / a.micros, 2),
    of(([a]) => a.perSecond, 0),
    of(([, b]) => b.perSecond, 0),
    of(([a, b]) => a.perSecond / b.perSecond, 2),
  ]
}

const dir = mkdtempSync(path.join(tmpdir(), 'rookery-bench-'))
const contenders: Contender[] = []
try {
  contenders.push(await start('rookery', [process.execPath, BIN, 'server'], dir))
  contenders.push(await start('redis', ['redis-server'], dir))
  const [ours, redis] = contenders
  const table = new Table({
    head: ['command', 'pipeline', 'our µs', 'redis µs', 'CPU ratio', 'our req/s', 'redis req/s', 'rate ratio'],
    style: { head: [], border: [] },
  })
  for (const test of options.tests.split(','))
    for (const pipeline of options.pipelines.split(',')) table.push(compare(ours!, redis!, test, Number(pipeline)))
  process.stdout.write(`${table.toString()}\n`)
} finally {
  for (const contender of contenders) contender.process.kill('SIGKILL')
  rmSync(dir, { recursive: true, force: true })
}
