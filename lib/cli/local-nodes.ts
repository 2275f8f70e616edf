/** Node processes on this machine: started, watched and stopped together. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Connection } from '../client/connection.ts'

export interface LocalNode {
  readonly port: number
  readonly dir: string
  readonly process: ChildProcess
}

/** Something in the way of a start; the message says what, and what to do. */
export class StartError extends Error {}

const BIN = fileURLToPath(new URL('../bin.js', import.meta.url))
const HOST = '127.0.0.1'

/** Refuses busy ports before anything is started. */
export async function checkPorts(ports: readonly number[], dirOf: (port: number) => string): Promise<void> {
  for (const port of ports)
    for (const wanted of [port, port + 10_000]) {
      if (await isFree(wanted)) continue
      throw new StartError(`port ${wanted} is in use${leftover(dirOf(port))}`)
    }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ host: HOST, port, exclusive: true }, () => probe.close(() => resolve(true)))
  })
}

/** Who it may be: a node of an earlier run says so in its pid file. */
function leftover(dir: string): string {
  const file = path.join(dir, 'node.pid')
  const pid = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0
  if (pid === 0 || !isAlive(pid)) return ' by another program. Free it, or choose others with --port.'
  return ` by process ${pid}, a node left over from an earlier run in ${dir}. Stop it (kill ${pid}), or choose others with --port.`
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Starts one node in its folder with a configuration file of its own. */
export function startNode(port: number, dir: string, nodeTimeoutMs: number): LocalNode {
  mkdirSync(dir, { recursive: true })
  const conf = path.join(dir, 'redis.conf')
  if (!existsSync(conf)) writeFileSync(conf, configuration(port, dir, nodeTimeoutMs))
  const log = openSync(path.join(dir, 'node.log'), 'a')
  const child = spawn(process.execPath, [BIN, 'server', conf, '--cluster-node-timeout', String(nodeTimeoutMs)], {
    stdio: ['ignore', log, log],
    // A group of its own: Ctrl-C in the terminal reaches us alone, and we stop the nodes in good order.
    detached: process.platform !== 'win32',
  })
  closeSync(log)
  return { port, dir, process: child }
}

const configuration = (port: number, dir: string, nodeTimeoutMs: number): string =>
  [
    `port ${port}`,
    `bind ${HOST}`,
    `dir ${JSON.stringify(path.resolve(dir))}`,
    'cluster-enabled yes',
    'cluster-config-file nodes.conf',
    `cluster-node-timeout ${nodeTimeoutMs}`,
    `pidfile ${JSON.stringify(path.resolve(dir, 'node.pid'))}`,
    'appendonly yes',
    'save ""',
    '',
  ].join('\n')

/** Resolves when the node answers PING; rejects with the end of its log when it died instead. */
export async function answering(node: LocalNode, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    if (node.process.exitCode !== null || node.process.signalCode !== null)
      throw new StartError(`the node on port ${node.port} stopped while starting:\n${logTail(node.dir)}`)
    try {
      const connection = await Connection.open({ host: HOST, port: node.port, timeoutMs: 1000 })
      await connection.call('PING').finally(() => connection.close())
      return
    } catch {
      if (performance.now() > deadline)
        throw new StartError(`the node on port ${node.port} does not answer; see ${path.join(node.dir, 'node.log')}`)
      await pause(50)
    }
  }
}

/** The last lines of a node's log, indented. */
export function logTail(dir: string, lines = 8): string {
  const text = readFileSync(path.join(dir, 'node.log'), 'utf8').trimEnd()
  return text
    .split('\n')
    .slice(-lines)
    .map((line) => `  ${line}`)
    .join('\n')
}

/** Asks every node to stop, waits, and ends those that do not. */
export async function stopNodes(nodes: readonly LocalNode[], graceMs = 5000): Promise<void> {
  await Promise.all(
    nodes.map(async ({ process: child }) => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
      await gone
      clearTimeout(timer)
    }),
  )
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
