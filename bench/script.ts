/** Calls of a small script per second, server CPU per call, and how soon others hear of a script that does not end, ours beside
 *  redis-server in the same run:
 *
 *      npm run bench:script [-- --rounds 3 --requests 200000]
 *
 *  The script is `return redis.call('GET', KEYS[1])`; busy-reply-threshold is 100 ms. Needs redis-server and redis-benchmark, and /proc for the CPU column. */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { connect } from '../test/support/client.ts'
import { median } from './support/median.ts'

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, requests: { type: 'string', default: '200000' } },
})
const SCRIPT = "return redis.call('GET', KEYS[1])"
const BIN = fileURLToPath(new URL('../lib/bin.js', import.meta.url))
const FIRST_PORT = 24700
const THRESHOLD_MS = 100

const dir = mkdtempSync(path.join(tmpdir(), 'bench-script-'))
const contenders = [
  { name: 'redis-server', command: ['redis-server'] },
  { name: 'rookery', command: [process.execPath, BIN, 'server'] },
].map(({ name, command: [program, ...args] }, i) => {
  const port = String(FIRST_PORT + i)
  const conf = ['--save', '', '--appendonly', 'no', '--dir', dir, '--busy-reply-threshold', String(THRESHOLD_MS)]
  const server = spawn(program!, [...args, '--port', port, ...conf], { stdio: 'ignore' })
  return { name, port, server }
})

/** User and system time of a process so far, microseconds: /proc counts hundredths of a second. */
function cpuMicros(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

/** Milliseconds from the start of an endless script until somebody else is told BUSY. */
async function msToBusy(port: number): Promise<number> {
  const [runner, other] = await Promise.all([connect(port), connect(port)])
  const startedAt = performance.now()
  const answer = runner.outcome('EVAL', 'while true do end', 0)
  // One that comes before the script is served before it.
  while (!(await other.outcome('GET', 'k')).startsWith('BUSY'));
  const ms = performance.now() - startedAt
  await other.outcome('SCRIPT', 'KILL')
  await answer
  for (const client of [runner, other]) client.close()
  return ms
}

try {
  await sleep(2000)
  for (const { port } of contenders) execFileSync('redis-cli', ['-p', port, 'set', 'k', 'v'])
  for (const pipeline of ['1', '16']) {
    const rates = contenders.map((): number[] => [])
    const costs = contenders.map((): number[] => [])
    for (let round = 0; round < Number(options.rounds); round++)
      for (const [i, { port, server }] of contenders.entries()) {
        const args = ['-p', port, '-n', options.requests, '-P', pipeline, '-q', 'eval', SCRIPT, '1', 'k']
        const before = cpuMicros(server.pid!)
        const text = execFileSync('redis-benchmark', args, { encoding: 'latin1' })
        costs[i]!.push((cpuMicros(server.pid!) - before) / Number(options.requests))
        rates[i]!.push(Number(/([\d.]+) requests per second/.exec(text)?.[1]))
      }
    for (const [i, { name }] of contenders.entries())
      console.log(
        `P${pipeline} ${name}: ${Math.round(median(rates[i]!))} calls/s, ${median(costs[i]!).toFixed(2)} us of CPU each`,
      )
  }
  for (const { name, port } of contenders) {
    const times: number[] = []
    for (let round = 0; round < Number(options.rounds); round++) times.push(await msToBusy(Number(port)))
    console.log(
      `BUSY ${name}: ${median(times).toFixed(0)} ms after the start, at most ${Math.max(...times).toFixed(0)}`,
    )
  }
} finally {
  for (const { server } of contenders) server.kill()
  rmSync(dir, { recursive: true, force: true })
}
