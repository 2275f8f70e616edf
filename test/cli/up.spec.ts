/** `rookery up` as a terminal sees it: what it prints, what runs while it runs, and that nothing runs afterwards. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { redisCli } from '../support/cli.ts'
import { ask, closeClients } from '../support/client.ts'
import { keyIn, type NodeLine, nodeLines, slotCount } from '../support/cluster.ts'
import { eventually, sleep } from '../support/eventually.ts'
import { LIBRARIES } from '../support/libraries.ts'
import { freePorts } from '../support/ports.ts'

const BIN = fileURLToPath(new URL('../../lib/bin.js', import.meta.url))
const LIMIT_MS = 30_000
const READY = /The cluster is ready: (?:(\d+) nodes agree on|one node owns) all 16384 slots/

/** One `rookery up` in a terminal. */
interface Terminal {
  readonly process: ChildProcess
  readonly port: number
  readonly dir: string
  /** All it has printed, without colours. */
  output(): string
}

describe('rookery up', function () {
  this.timeout(60_000)
  this.slow(60_000)
  const dirs: string[] = []
  const terminals: Terminal[] = []

  /** Starts it in a new folder and on free ports, or where an earlier one was. */
  const up = async (options: readonly (string | number)[] = [], earlier?: Terminal): Promise<Terminal> => {
    const dir = earlier?.dir ?? mkdtempSync(join(tmpdir(), 'rookery-up-'))
    const port = earlier?.port ?? (await freePorts(6))
    if (!earlier) dirs.push(dir)
    const argv = ['up', '--port', port, '--dir', dir, '--node-timeout', 1500, ...options]
    const child = spawn(process.execPath, [BIN, ...argv.map(String)], { env: { ...process.env, NO_COLOR: '1' } })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (more) => (text += more))
    const terminal = { process: child, port, dir, output: () => text }
    terminals.push(terminal)
    return terminal
  }

  /** As `up`, and waits until it says that the cluster is ready. */
  const ready = async (options: readonly (string | number)[] = [], earlier?: Terminal): Promise<Terminal> => {
    const terminal = await up(options, earlier)
    const over = (): boolean => hasEnded(terminal) || READY.test(terminal.output())
    await eventually(over, { what: 'it is ready', withinMs: LIMIT_MS })
    assert.match(terminal.output(), READY)
    return terminal
  }

  afterEach(async () => {
    for (const terminal of terminals.splice(0)) {
      terminal.process.kill('SIGKILL')
      await codeOf(terminal)
    }
    for (const pid of dirs.flatMap(pidsIn).filter(isAlive)) process.kill(pid, 'SIGKILL')
    closeClients()
  })

  after(() => {
    for (const dir of dirs) rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
  })

  it('runs three primaries with a replica each, shows them, and the same ones when it is started again', async () => {
    const first = await ready()
    assert.equal(READY.exec(first.output())![1], '6')
    assert.match(first.output(), new RegExp(`redis-cli -c -p ${first.port}\\n`))
    const lines = await nodeLines(first.port)
    assertShown(lines, first.output())
    const client = await LIBRARIES[0]!.open(first.port)
    await client.set('kept', 'value')
    client.close()
    assert.equal(await interrupt(first), 0)

    const again = await ready([], first)
    assert.deepEqual(shapeOf(await nodeLines(again.port)), shapeOf(lines))
    const another = await LIBRARIES[0]!.open(again.port)
    assert.equal(await another.get('kept'), 'value')
    another.close()
    assert.equal(await interrupt(again, 'SIGTERM'), 0)

    const other = await up(['--replicas', 0], first)
    assert.equal(await codeOf(other), 1)
    assert.match(other.output(), /^Cannot run the cluster: .* holds a cluster of another shape/)
  })

  it('satisfies redis-cli --cluster check, and leaves no process', async function () {
    if (spawnSync('redis-cli', ['--version']).error) return this.skip()
    const terminal = await ready()
    const { code, output } = await redisCli(['--cluster', 'check', `127.0.0.1:${terminal.port}`])
    assert.match(
      output,
      /\[OK\] All nodes agree about slots configuration\.\n[\s\S]*\[OK\] All 16384 slots covered\.\n$/,
    )
    assert.equal(code, 0)
    const pids = pidsIn(terminal.dir)
    assert.equal(pids.filter(isAlive).length, 6)
    assert.equal(await interrupt(terminal), 0)
    assert.deepEqual(pids.filter(isAlive), [])
    assert.match(terminal.output(), /\nStopping the nodes \.\.\.\n$/)
  })

  it('runs other shapes', async () => {
    for (const [primaries, replicas] of [
      [3, 0],
      [1, 1],
    ] as const) {
      const terminal = await ready(['--primaries', primaries, '--replicas', replicas])
      const lines = await nodeLines(terminal.port)
      assert.equal(lines.length, primaries * (1 + replicas))
      const slots = lines.reduce((sum, line) => sum + slotCount(line), 0)
      assert.equal(slots, 16384)
      assert.equal(await interrupt(terminal), 0)
    }
  })

  it('runs one node alone, and the same one when it is started again', async () => {
    const shape = ['--primaries', 1, '--replicas', 0]
    const first = await ready(shape)
    const lines = await nodeLines(first.port)
    assert.deepEqual(lines[0]!.slots, [[0, 16383]])
    assert.equal(await interrupt(first), 0)
    const again = await ready(shape, first)
    assert.deepEqual(shapeOf(await nodeLines(again.port)), shapeOf(lines))
  })

  it('refuses a port that is in use, of clients or of the bus, and starts nothing', async () => {
    const port = await freePorts(6)
    for (const busy of [port + 2, port + 10_003]) {
      const other = createServer().listen(busy, '127.0.0.1')
      await once(other, 'listening')
      try {
        const terminal = await up(['--port', port])
        assert.equal(await codeOf(terminal), 1)
        assert.equal(
          terminal.output(),
          `Cannot run the cluster: port ${busy} is in use by another program. Free it, or choose others with --port.\n`,
        )
        assert.deepEqual(pidsIn(terminal.dir), [])
      } finally {
        other.close()
      }
    }
  })

  it('names a node that an earlier run has left, by its process', async () => {
    const shape = ['--primaries', 1, '--replicas', 0]
    const first = await ready(shape)
    first.process.kill('SIGKILL')
    await codeOf(first)
    const [pid] = pidsIn(first.dir)
    assert.ok(isAlive(pid!), 'whoever is killed cannot stop others')
    const second = await up(shape, first)
    assert.equal(await codeOf(second), 1)
    const told = `port ${first.port} is in use by process ${pid}, a node left over from an earlier run in .*\\(kill ${pid}\\)`
    assert.match(second.output(), new RegExp(told))
    assert.ok(isAlive(pid!))
  })

  it('reports a node that was killed, and the cluster goes on without it', async () => {
    const terminal = await ready()
    const owns = ({ slots }: NodeLine): boolean => slots.some(([first]) => first === 0)
    const victim = (await nodeLines(terminal.port)).find(owns)!
    process.kill(Number(readFileSync(join(terminal.dir, String(victim.port), 'node.pid'), 'utf8')), 'SIGKILL')
    const observer = victim.port === terminal.port ? terminal.port + 1 : terminal.port
    const takeOver = async (): Promise<NodeLine | undefined> =>
      (await nodeLines(observer)).find((line) => line.port !== victim.port && owns(line))
    const heir = await eventually(takeOver, { what: 'a replica has taken over', withinMs: 15_000 })
    assert.equal(await ask(heir!.port, 'SET', keyIn(0), 'v'), 'OK')
    assert.match(terminal.output(), new RegExp(`Node ${victim.port} ended \\(SIGKILL\\)\\. Restart it with: `))
    assert.ok(!hasEnded(terminal))
  })

  it('leaves nothing behind when it is interrupted early, and can begin anew', async () => {
    let terminal: Terminal | undefined
    for (const delayMs of [200, 400, 600, 800, 1000]) {
      terminal = await up([], terminal)
      await sleep(delayMs)
      await interrupt(terminal)
      assert.deepEqual(commandLinesWith(terminal.dir), [])
    }
    await ready([], terminal)
  })
})

/** Each node has its row: address, role, slots, primary and id. */
function assertShown(lines: readonly NodeLine[], output: string): void {
  for (const { id, port, slots, primary } of lines) {
    const row = output.split('\n').find((text) => text.includes(id)) ?? ''
    const cells = row.split('│').map((cell) => cell.trim())
    const over = lines.find((line) => line.id === primary)?.port
    const role = over === undefined ? ['primary', slots[0]!.join('-'), ''] : ['replica', '', `127.0.0.1:${over}`]
    assert.deepEqual(cells.slice(1, -1), [`127.0.0.1:${port}`, ...role, id])
  }
}

const hasEnded = ({ process: child }: Terminal): boolean => child.exitCode !== null || child.signalCode !== null

/** The exit code, once it has ended. */
async function codeOf(terminal: Terminal): Promise<number | null> {
  const { process: child } = terminal
  if (!hasEnded(terminal)) await once(child, 'exit', { signal: AbortSignal.timeout(LIMIT_MS) })
  return child.exitCode
}

function interrupt(terminal: Terminal, signal: 'SIGINT' | 'SIGTERM' = 'SIGINT'): Promise<number | null> {
  terminal.process.kill(signal)
  return codeOf(terminal)
}

/** The processes of the nodes below a folder, as they have written them down. */
function pidsIn(dir: string): number[] {
  const files = readdirSync(dir).map((name) => join(dir, name, 'node.pid'))
  return files.filter((file) => existsSync(file)).map((file) => Number(readFileSync(file, 'utf8')))
}

/** What runs on this machine and was told of `dir`. */
const commandLinesWith = (dir: string): string[] =>
  spawnSync('ps', ['-Aww', '-o', 'args='], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter((line) => line.includes(dir))

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Who is who and owns what, whatever the order. */
const shapeOf = (lines: readonly NodeLine[]): string[] =>
  lines.map(({ id, port, primary, slots }) => `${id} ${port} ${primary ?? '-'} ${slots.join(' ')}`).sort()
