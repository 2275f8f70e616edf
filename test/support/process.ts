/** Server processes for wire tests: ours or redis-server, each in a temporary directory of its own, none of them outliving the test run. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { closeClients, outcome } from './client.ts'
import { eventually } from './eventually.ts'
import { freePort } from './ports.ts'

/** Which program a node runs. */
export type Kind = 'rookery' | 'redis'

/** Directives of a redis.conf; a list repeats the directive. */
export type Conf = Readonly<Record<string, string | number | readonly string[]>>

export interface ServerOptions {
  readonly kind: Kind
  /** Added to, and going before, `QUIET`. */
  readonly conf?: Conf
  /** The whole configuration file instead, for tests about the file; it must name `port`. */
  readonly confFile?: string
  readonly port?: number
}

/** The real server beside ours: that of redis 7.0 in PATH, or another one, for tests that do not compare words. */
export const REAL_SERVER = process.env['ROOKERY_BESIDE'] ?? 'redis-server'
export const BIN = fileURLToPath(new URL('../../lib/bin.js', import.meta.url))
/** What is run for each kind, before its arguments. */
export const PROGRAMS: Readonly<Record<Kind, readonly [string, ...string[]]>> = {
  rookery: [process.execPath, BIN, 'server'],
  redis: [REAL_SERVER],
}

/** No surprises from the disk, and no 5 s wait before a diskless full synchronisation. */
const QUIET: Conf = {
  bind: '127.0.0.1',
  save: '""',
  appendonly: 'no',
  'repl-diskless-sync-delay': 0,
  'enable-debug-command': 'yes',
}

const START_LIMIT_MS = 15_000
const ASK_AGAIN_MS = 1000
const servers = new Set<Server>()

/** A server that is prepared, running, paused or dead; its directory, port and configuration stay the same through restarts. */
export class Server {
  readonly port: number
  readonly dir: string
  private kindNow: Kind
  private child: ChildProcess | undefined

  constructor(kind: Kind, port: number, dir: string) {
    this.kindNow = kind
    this.port = port
    this.dir = dir
    servers.add(this)
  }

  get kind(): Kind {
    return this.kindNow
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  get isRunning(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null
  }

  /** Everything the server has said since its first start, standard error included. */
  get log(): string {
    return readFileSync(join(this.dir, 'log.txt'), 'latin1')
  }

  /** Starts the process without waiting for it to serve; `argv` follows the configuration file. */
  launch(...argv: readonly string[]): void {
    const [program, ...first] = PROGRAMS[this.kindNow]
    const log = openSync(join(this.dir, 'log.txt'), 'a')
    this.child = spawn(program, [...first, 'redis.conf', ...argv], { cwd: this.dir, stdio: ['ignore', log, log] })
    closeSync(log)
    // A server that a test forgets must not keep the test run from ending; the end of the run then ends the server.
    this.child.unref()
  }

  /** Starts the process and resolves when it answers PING. Rejects with its log when it ends instead. */
  async start(): Promise<void> {
    this.launch()
    const answers = async (): Promise<boolean> => !this.isRunning || (await this.#isServing())
    await eventually(answers, { what: `${this.kindNow} at ${this.port} answers PING`, withinMs: START_LIMIT_MS })
    if (!this.isRunning) throw new Error(`${this.kindNow} at ${this.port} did not start:\n${this.log}`)
  }

  /** It is this process that answers at the port, not a stranger who has come to it meanwhile. */
  async #isServing(): Promise<boolean> {
    return (await outcome(this.port, 'INFO', 'server')).includes(`\r\nprocess_id:${this.child!.pid}\r\n`)
  }

  /** Ends the process and resolves when it is gone. SIGKILL is a crash, SIGTERM a shutdown; a paused process only hears the former. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    if (!this.isRunning) return
    const gone = this.exited()
    this.child!.kill(signal)
    // A redis-server that is writing its first append-only file does not end, and has to be asked again.
    const asks = signal === 'SIGTERM' && this.kindNow === 'redis'
    const asking = asks ? setInterval(() => this.child!.kill(signal), ASK_AGAIN_MS) : undefined
    await gone.finally(() => clearInterval(asking))
  }

  /** Resolves with the exit code once the process has ended by itself (null: by a signal). */
  async exited(): Promise<number | null> {
    if (this.isRunning) await once(this.child!, 'exit', { signal: AbortSignal.timeout(START_LIMIT_MS) })
    return this.child?.exitCode ?? null
  }

  /** Stops the process in its tracks: its sockets stay open and nobody reads them. */
  pause(): void {
    this.child!.kill('SIGSTOP')
  }

  resume(): void {
    this.child!.kill('SIGCONT')
  }

  /** Starts it again on the same directory and port, after a shutdown if it still runs; as another kind of server, if one is named. */
  async restart(kind: Kind = this.kindNow): Promise<void> {
    await this.kill('SIGTERM')
    this.kindNow = kind
    await this.start()
  }

  /** Kills it and removes its files. */
  async remove(): Promise<void> {
    await this.kill()
    this.erase()
  }

  /** SIGKILL without waiting: for the end of our own process. */
  abandon(): void {
    this.child?.kill('SIGKILL')
  }

  /** Removes the files of a killed server. It may still be writing its last one, hence the retries. */
  erase(): void {
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
    servers.delete(this)
  }
}

/** A server with its directory and configuration file, not started. */
export async function prepareServer(options: ServerOptions): Promise<Server> {
  const port = options.port ?? (await freePort())
  const server = new Server(options.kind, port, mkdtempSync(join(tmpdir(), 'rookery-wire-')))
  writeFileSync(join(server.dir, 'redis.conf'), options.confFile ?? confText({ ...QUIET, port, ...options.conf }))
  return server
}

/** A server that answers PING. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const server = await prepareServer(options)
  await server.start()
  return server
}

/** The last lines of every server that was started and not removed: what to look at when a test has failed. */
export function logTails(lines: number): string {
  const tail = (server: Server): string => server.log.trimEnd().split('\n').slice(-lines).join('\n')
  return [...servers].map((server) => `--- ${server.kind} at ${server.port}\n${tail(server)}`).join('\n')
}

/** Ends every server and connection of the tests and removes their directories. */
export async function stopEverything(): Promise<void> {
  closeClients()
  await Promise.all([...servers].map((server) => server.remove()))
}

function confText(conf: Conf): string {
  const lines = Object.entries(conf).flatMap(([name, value]) => [value].flat().map((one) => `${name} ${one}\n`))
  return lines.join('')
}

// All are killed before any directory is removed: a removal may fail, and must not leave the rest running.
process.once('exit', () => {
  for (const server of servers) server.abandon()
  for (const server of servers) server.erase()
})
// A signal ends a process without 'exit', so it is turned into one. SIGINT too: mocha's own handler gives up at the second Ctrl-C.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
