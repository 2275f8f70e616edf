/** The tutorial's programs, run as a reader of the tutorial runs them. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { redisCli } from '../support/cli.ts'
import { type Cluster, settled, startCluster } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { scenarios } from '../support/suite.ts'

const T = 1500
const REPORT = /^\d+ R \(\d+ err\) \| \d+ W \(\d+ err\) \| (\d+ lost \| )?(\d+ noack \| )?$/

interface Program {
  readonly process: ChildProcess
  /** Lines printed so far, the unfinished last one left out. */
  lines(): string[]
}

scenarios('the examples', ['rookery'], (kinds) => {
  let cluster: Cluster
  const programs: Program[] = []

  before(async () => {
    cluster = await startCluster({ kinds, replicas: 1, nodeTimeoutMs: T })
  })

  afterEach(async () => {
    for (const program of programs.splice(0)) await stop(program)
  })

  const start = (name: string, ...argv: readonly (string | number)[]): Program => {
    const program = run(name, argv.map(String))
    programs.push(program)
    return program
  }
  const entry = (): readonly (string | number)[] => ['127.0.0.1', cluster.primaries[1]!.port]
  const printed = (program: Program, count: number): Promise<string[]> =>
    eventually(() => program.lines(), {
      what: `${count} lines are printed`,
      withinMs: 15_000,
      until: (lines) => lines.length >= count,
    })

  const stored = async (key: string): Promise<string> =>
    (await redisCli(['-c', '-p', cluster.nodes[0]!.port, 'GET', key])).output.trim()

  it('example counts, and goes on where it was stopped', async () => {
    const first = start('example', ...entry())
    assert.deepEqual((await printed(first, 3)).slice(0, 3), ['1', '2', '3'])
    await stop(first)
    const next = Number((await stored('__last__')) ?? 0) + 1
    assert.ok(next > 3)
    assert.equal((await printed(start('example', ...entry()), 1))[0], String(next))
  })

  it('example --no-sleep tells its speed', async () => {
    const program = start('example', ...entry(), '--no-sleep')
    await printed(program, 100)
    await stop(program)
    assert.match(program.lines().at(-1)!, /^\d+ operations, \d+ a second$/)
  })

  it('example says so when no node is there, and goes on trying', async () => {
    const program = start('example', '127.0.0.1', 1)
    const lines = await printed(program, 2)
    assert.ok(
      lines.every((line) => /^error /.test(line)),
      lines.join('\n'),
    )
    assert.equal(program.process.exitCode, null)
  })

  it('consistency-test reports each second, and finds nothing wrong where nothing is', async () => {
    const lines = await printed(start('consistency-test', ...entry()), 3)
    for (const line of lines) assert.match(line, /^\d+ R \(0 err\) \| \d+ W \(0 err\) \| $/)
  })

  it('consistency-test counts increments that were taken away, or added', async () => {
    const program = start('consistency-test', ...entry())
    await printed(program, 2)
    const sabotage = async (change: (key: string) => string, sign: RegExp): Promise<void> => {
      const input = Array.from({ length: 300 }, (_, i) => `${change(`key_${i}`)}\n`).join('')
      await redisCli(['-c', '-p', cluster.nodes[0]!.port], { input })
      await eventually(() => program.lines(), {
        what: `${sign} is reported`,
        withinMs: 10_000,
        until: (lines) => lines.some((line) => sign.test(line)),
      })
    }
    await sabotage((key) => `INCRBY ${key} 5`, /\| \d+ noack \| $/)
    await sabotage((key) => `SET ${key} 0`, /\| \d+ lost \| \d+ noack \| $/)
    for (const line of program.lines()) assert.match(line, REPORT)
  })

  it('both print errors while a primary is dead, and go on after the failover', async () => {
    const counter = start('example', ...entry(), '--no-sleep')
    const tester = start('consistency-test', ...entry())
    await Promise.all([printed(counter, 10), printed(tester, 2)])
    await cluster.primaries[0]!.kill()
    for (const program of [counter, tester]) {
      const afterwards = (): string[] => {
        const lines = program.lines()
        const lastError = lines.findLastIndex((line) => /^(error|Reading:|Writing:)/.test(line))
        return lastError < 0 ? [] : lines.slice(lastError + 1)
      }
      await eventually(afterwards, { what: 'it goes on', withinMs: T + 20_000, until: (lines) => lines.length >= 3 })
    }
    for (const line of tester.lines()) assert.match(line, /^(Reading|Writing|Cluster): |^\d+ R .* \| $/)
    assertThrottled(tester.lines())
    await cluster.primaries[0]!.restart()
    await settled(cluster.nodes)
  })
})

/** Reports come each second, errors at most once each second: between two reports no message stands more than twice, or, when a
 *  report was late because its turn had to wait for a command, a few times. */
function assertThrottled(lines: readonly string[]): void {
  const seen = new Map<string, number>()
  for (const line of lines) {
    if (REPORT.test(line)) seen.clear()
    else seen.set(line, (seen.get(line) ?? 0) + 1)
    for (const [message, count] of seen) assert.ok(count <= 4, `${count} times: ${message}`)
  }
}

function run(name: string, argv: readonly string[]): Program {
  const file = fileURLToPath(new URL(`../../examples/${name}.js`, import.meta.url))
  const child = spawn(process.execPath, [file, ...argv])
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (more) => (text += more))
  return { process: child, lines: () => text.split('\n').slice(0, -1) }
}

/** As Ctrl-C does; what it prints last is then in `lines`. */
async function stop({ process: child }: Program): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'close')
  child.kill('SIGINT')
  await gone
}
