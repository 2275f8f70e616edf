/** `rookery up`: a whole cluster on this machine in one command, the same one each time. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import Table from 'cli-table3'
import color from 'picocolors'
import { formCluster, type Layout } from '../admin/form.ts'
import { type Address, addressText, type NodeReport, readNode, whyNotReady } from '../admin/topology.ts'
import {
  answering,
  checkPorts,
  type LocalNode,
  logTail,
  pause,
  StartError,
  startNode,
  stopNodes,
} from './local-nodes.ts'

export interface UpOptions extends Layout {
  /** Client port of the first node. */
  readonly port: number
  readonly dir: string
  readonly nodeTimeout: number
}

const HOST = '127.0.0.1'
const READY_WITHIN_MS = 60_000

/** Starts the cluster, shows it, and keeps it running until SIGINT or SIGTERM. Leaves no process behind, whatever happens. */
export async function up(options: UpOptions): Promise<void> {
  const nodes: LocalNode[] = []
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopping ??= stopNodes(nodes)
    return stopping
  }
  // Registered before the first process exists: an impatient Ctrl-C leaves nothing running either.
  const interrupted = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve())
  })
  process.on('exit', () => {
    for (const node of nodes) node.process.kill('SIGKILL')
  })
  try {
    const started = start(options, nodes, () => stopping !== undefined)
    started.catch(() => {})
    const early = await Promise.race([started.then(() => false), interrupted.then(() => true)])
    if (!early) {
      show(options, await started)
      await Promise.race([interrupted, died(nodes, () => stopping !== undefined)])
    }
    process.stdout.write('\nStopping the nodes ...\n')
    await stop()
  } catch (error) {
    await stop()
    if (!(error instanceof StartError)) throw error
    process.stderr.write(`${color.red('Cannot run the cluster:')} ${error.message}\n`)
    process.exitCode = 1
  }
}

async function start(options: UpOptions, nodes: LocalNode[], isStopping: () => boolean): Promise<NodeReport[]> {
  if (options.primaries < 3 && options.replicas > 0)
    process.stderr.write(
      color.yellow('With fewer than 3 primaries no majority survives a failure: replicas are never promoted.\n'),
    )
  const isFormed = hasShape(options)
  const ports = Array.from({ length: options.primaries * (1 + options.replicas) }, (_, i) => options.port + i)
  const dirOf = (port: number): string => path.join(options.dir, String(port))
  await checkPorts(ports, dirOf)
  // Whoever stops has stopped the nodes there were: there must not be new ones afterwards.
  if (isStopping()) return []
  process.stdout.write(`Starting ${nodeCount(ports.length)} from port ${ports[0]} on ...\n`)
  for (const port of ports) nodes.push(startNode(port, dirOf(port), options.nodeTimeout))
  await Promise.all(nodes.map((node) => answering(node, READY_WITHIN_MS)))
  const addresses = ports.map((port): Address => ({ host: HOST, port }))
  if (!isFormed) {
    await form(addresses, options, nodes)
    rememberShape(options)
  }
  return await ready(addresses, nodes)
}

const shapeFile = ({ dir }: UpOptions): string => path.join(dir, 'shape.json')
const shapeText = ({ port, primaries, replicas }: UpOptions): string => JSON.stringify({ port, primaries, replicas })

/** Whether the folder holds a cluster already. It holds one of one shape; another needs a folder of its own. */
function hasShape(options: UpOptions): boolean {
  mkdirSync(options.dir, { recursive: true })
  if (!existsSync(shapeFile(options))) return false
  const [found, asked] = [readFileSync(shapeFile(options), 'utf8').trim(), shapeText(options)]
  if (found === asked) return true
  throw new StartError(
    `${options.dir} holds a cluster of another shape: ${found}, asked for: ${asked}. Give the new one a folder with --dir, or delete ${options.dir}.`,
  )
}

/** Written when the nodes have been joined and not before: what was interrupted earlier is begun anew. */
function rememberShape(options: UpOptions): void {
  writeFileSync(shapeFile(options), `${shapeText(options)}\n`)
}

async function form(addresses: readonly Address[], layout: Layout, nodes: readonly LocalNode[]): Promise<void> {
  try {
    await formCluster(addresses, layout, (what, holds) => settle(what, holds, nodes))
  } catch (error) {
    if (error instanceof StartError) throw error
    requireAlive(nodes)
    throw new StartError(`the nodes cannot be joined: ${messageOf(error)}`, { cause: error })
  }
}

async function settle(what: string, holds: () => Promise<boolean>, nodes: readonly LocalNode[]): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS
  while (!(await holds())) {
    requireAlive(nodes)
    if (performance.now() > deadline) throw new StartError(`waited ${READY_WITHIN_MS / 1000} s in vain until ${what}`)
    await pause(50)
  }
}

/** Waits until the cluster is truly ready; says what is missing when it does not get there. */
async function ready(addresses: readonly Address[], nodes: readonly LocalNode[]): Promise<NodeReport[]> {
  const deadline = performance.now() + READY_WITHIN_MS
  for (;;) {
    let why: string | undefined
    try {
      const reports = await Promise.all(addresses.map((address) => readNode(address, 5000)))
      why = whyNotReady(reports)
      if (why === undefined) return reports
    } catch (error) {
      why = messageOf(error)
    }
    requireAlive(nodes)
    if (performance.now() > deadline) throw new StartError(`the cluster did not become ready: ${why}`)
    await pause(50)
  }
}

/** A node that has ended makes every further wait vain. */
function requireAlive(nodes: readonly LocalNode[]): void {
  const dead = nodes.find(({ process: child }) => child.exitCode !== null || child.signalCode !== null)
  if (dead !== undefined) throw new StartError(`the node on port ${dead.port} stopped:\n${logTail(dead.dir)}`)
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Resolves when no node runs any more: there is nothing left to wait for. One that was killed on purpose is only reported. */
function died(nodes: readonly LocalNode[], isStopping: () => boolean): Promise<void> {
  let left = nodes.length
  return new Promise((resolve) => {
    for (const node of nodes)
      node.process.once('exit', (code, signal) => {
        if (isStopping()) return
        process.stdout.write(
          `${color.yellow(`Node ${node.port} ended`)} (${signal ?? `exit code ${code}`}). Restart it with: npx rookery server ${path.join(node.dir, 'redis.conf')}\n`,
        )
        if (--left === 0) resolve()
      })
  })
}

const nodeCount = (n: number): string => `${n} ${n === 1 ? 'node' : 'nodes'}`

function readiness(nodes: number, replicas: number): string {
  const slots = nodes === 1 ? 'one node owns all 16384 slots' : `${nodes} nodes agree on all 16384 slots`
  return replicas === 0 ? slots : `${slots}, every replica is in sync`
}

function show(options: UpOptions, reports: readonly NodeReport[]): void {
  const table = new Table({ head: ['node', 'role', 'slots', 'replicates', 'id'], style: { head: [], border: [] } })
  const rows = reports[0]!.nodes
  for (const row of [...rows].sort((a, b) => a.port - b.port)) {
    const primary = rows.find((other) => other.id === row.primary)
    table.push([
      `${row.ip || HOST}:${row.port}`,
      primary === undefined ? color.bold('primary') : 'replica',
      row.slots.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(' '),
      primary === undefined ? '' : `${primary.ip || HOST}:${primary.port}`,
      row.id,
    ])
  }
  const all = reports.map((report) => report.address)
  process.stdout.write(
    [
      table.toString(),
      color.green(`The cluster is ready: ${readiness(reports.length, options.replicas)}.`),
      '',
      `  redis-cli -c -p ${options.port}`,
      `  new Redis.Cluster([{ host: '${HOST}', port: ${options.port} }])          // ioredis`,
      `  createCluster({ rootNodes: [{ url: 'redis://${addressText(all[0]!)}' }] })   // node-redis`,
      '',
      `Data and logs: ${path.resolve(options.dir)}. Stop with Ctrl-C.`,
      '',
    ].join('\n'),
  )
}
