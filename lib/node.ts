/** One node: builds its parts, joins them, starts them in order and stops them in reverse. */
import path from 'node:path'
import { NodesConfError, readNodesConf } from '../bus/nodes-conf.ts'
import { type Cluster, createCluster } from '../bus/state.ts'
import { Keyspace } from '../store/keyspace.ts'
import { type NodesFile, openNodesFile } from '../store/nodes-file.ts'
import { SLOT_COUNT } from './base/brand.ts'
import { wallClock } from './base/clock.ts'
import type { Log } from './base/log.ts'
import { systemRandom } from './base/random.ts'
import { reasonOf } from './base/system-error.ts'
import { VERSION } from './cli/version.ts'
import { FAMILIES } from './commands/families.ts'
import { CommandTable } from './commands/table.ts'
import { CLUSTER_DIRECTIVES, type Config, clusterOptions, type DirectiveName, tlsOptions } from './config.ts'
import { type Cron, startCron } from './cron.ts'
import { Driver, localFacts } from './driver.ts'
import { Persistence } from './persistence.ts'
import { dialer } from './replication/dial.ts'
import { Replication } from './replication/role.ts'
import { type Listener, listen } from './server/listener.ts'
import { Server } from './server/server.ts'

export interface NodeParts {
  readonly config: Config
  readonly log: Log
  /** Something the node cannot go on with (nodes.conf cannot be written). It stops itself by then. */
  fatal(error: Error): void
  /** A client sent SHUTDOWN. */
  shutdown(): void
}

/** Why a node does not start; the message is for the person who started it. */
export class StartupError extends Error {}

export class Node {
  readonly server: Server
  readonly #parts: NodeParts
  readonly #persistence: Persistence
  #driver: Driver | undefined
  #nodesFile: NodesFile | undefined
  #listener: Listener | undefined
  #cron: Cron | undefined
  #hasServed = false

  constructor(parts: NodeParts) {
    this.#parts = parts
    const { config, log } = parts
    const keyspace = new Keyspace({ databases: config.values.clusterEnabled ? 1 : config.values.databases })
    const commands = new CommandTable(FAMILIES, new Map(config.renames))
    const replication = new Replication({
      config,
      log,
      keyspace,
      random: systemRandom,
      dial: dialer(() => (config.values.tlsReplication ? tlsOptions(config, 'client') : undefined)),
      server: () => this.server,
    })
    this.server = new Server({ config, log, commands, keyspace, replication })
    this.server.migrating.links.secure = () => (config.values.tlsCluster ? tlsOptions(config, 'client') : undefined)
    this.server.version = VERSION
    this.#persistence = new Persistence({
      config,
      log,
      keyspace,
      replication,
      random: systemRandom,
      server: () => this.server,
      pid: process.pid,
    })
    this.server.persistence = this.#persistence
  }

  /** Loads the data set, opens nodes.conf, then the ports. Rejects with a StartupError and leaves nothing open when it cannot. */
  async start(): Promise<void> {
    const { config, log, shutdown } = this.#parts
    const { server } = this
    server.host.shutdown = shutdown
    try {
      log.notice(`Rookery version=${VERSION}, just started, PID: ${process.pid}`)
      for (const notice of config.takeNotices()) log.notice(notice)
      log.notice(`Running mode=${config.values.clusterEnabled ? 'cluster' : 'standalone'}, port=${config.values.port}.`)
      await this.#persistence.open()
      if (config.values.clusterEnabled) await this.#openCluster()
      this.#driver?.feed({ type: 'options-changed' })
      this.#cron = startCron(server, this.#driver)
      log.warning('Server initialized')
      await this.#listen()
      refuseNewAddresses(config, log)
      this.#driver?.feed({ type: 'loaded', slotsWithKeys: slotsWithKeys(server.keyspace) })
      server.replication.start()
      this.#hasServed = true
      log.notice('Ready to accept connections')
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /** Puts on the disk what belongs there; false, and a reason in the log, when that fails. */
  prepareToStop(): boolean {
    return this.#persistence.prepareToEnd('by rules')
  }

  /** Closes the ports, every connection, and the files. */
  async stop(): Promise<void> {
    this.#cron?.stop()
    const closing = this.#listener?.close()
    this.server.endTurn()
    // A node that never served has nothing to save, and must not save it over what another one has.
    if (this.#hasServed) this.prepareToStop()
    this.server.replication.stop()
    this.server.migrating.links.close()
    for (const client of [...this.server.clients.values()]) this.server.disconnect(client)
    await this.#driver?.close()
    await closing
    await this.#nodesFile?.close()
    await this.#persistence.close()
  }

  async #openCluster(): Promise<void> {
    const { config, log, fatal } = this.#parts
    const file = config.resolve(config.values.clusterConfigFile)
    this.#nodesFile = await openOrRefuse(file)
    const cluster = this.#readCluster(file, this.#nodesFile)
    const { values } = config
    const timeoutMs = values.clusterNodeTimeout
    this.#driver = new Driver({
      cluster,
      server: this.server,
      nodesFile: this.#nodesFile,
      log,
      fatal,
      transport: {
        listen: { host: values.bind, port: busPort(config) },
        keepAliveMs: timeoutMs * 2,
        ...(values.tlsCluster ? { tls: tlsOptions(config, 'server') } : {}),
        ...(values.bindSourceAddr === '' ? {} : { bindSource: values.bindSourceAddr }),
      },
    })
    this.server.cluster = this.#driver
    config.onChange(CLUSTER_DIRECTIVES, () => {
      this.#driver?.feed({ type: 'options-changed' })
      return undefined
    })
  }

  /** The cluster as it was, or a new one of this node alone. A damaged file is reported and left as it is. */
  #readCluster(file: string, nodesFile: NodesFile): Cluster {
    const { config, log } = this.#parts
    const init = {
      options: clusterOptions(config),
      facts: localFacts(
        () => this.server,
        (link) => this.#driver?.bufferedOn(link) ?? 0,
      ),
      random: systemRandom,
      now: wallClock(),
    }
    const text = nodesFile.read()
    if (text === undefined || text.trim() === '') {
      const cluster = createCluster(init)
      log.notice(`No cluster configuration found, I'm ${cluster.myself.id}`)
      cluster.unsaved = 'fsync'
      return cluster
    }
    try {
      const cluster = readNodesConf(text, init)
      log.notice(`Node configuration loaded, I'm ${cluster.myself.id}`)
      return cluster
    } catch (error) {
      if (!(error instanceof NodesConfError)) throw error
      throw new StartupError(
        `Unrecoverable error: corrupted cluster config file "${file}", line ${error.line}: ${error.reason}. The file was left as it is: restore it from a copy, or move it away to start as a new, empty node.`,
      )
    }
  }

  async #listen(): Promise<void> {
    const { config } = this.#parts
    const { values } = config
    this.#listener = await listen(this.server, {
      bind: values.bind,
      port: values.port,
      tlsPort: values.tlsPort,
      ...(values.tlsPort > 0 ? { tlsOptions: tlsOptions(config, 'server') } : {}),
      unixSocket: values.unixsocket === '' ? '' : path.resolve(values.dir, values.unixsocket),
      unixSocketMode: values.unixsocketperm,
      backlog: values.tcpBacklog,
    })
    await this.#driver?.listen()
  }
}

/** The slots of which a data set has keys. */
function slotsWithKeys({ databases }: Keyspace): number[] {
  const slots: number[] = []
  for (let slot = 0; slot < SLOT_COUNT; slot++) if (databases[0]!.countInSlot(slot) > 0) slots.push(slot)
  return slots
}

/** Takes nodes.conf for this process. */
async function openOrRefuse(file: string): Promise<NodesFile> {
  try {
    return await openNodesFile(file)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === undefined) throw cause
    throw new StartupError(`Can't open ${file} in order to acquire a lock: ${reasonOf(cause)}`, { cause })
  }
}

/** The bus listens here: cluster-port, or the client port + 10000. */
function busPort({ values }: Config): number {
  return values.clusterPort || (values.tlsCluster ? values.tlsPort : values.port) + 10_000
}

/** Ports and certificates are taken when the node starts. CONFIG SET of another one is refused rather than accepted and
 *  ignored. */
function refuseNewAddresses(config: Config, log: Log): void {
  const refuse = (names: readonly DirectiveName[], why: string): void =>
    config.onChange(names, () => {
      log.warning(`${names.join(', ')}: a change takes effect at a restart; use CONFIG REWRITE or edit the file`)
      return why
    })
  refuse(['port', 'tls-port'], 'Unable to listen on this port. Check server logs.')
  refuse(['bind'], 'Failed to bind to specified addresses.')
  refuse(TLS_DIRECTIVES, 'Unable to update TLS configuration. Check server logs.')
}

const TLS_DIRECTIVES = [
  'tls-cert-file',
  'tls-key-file',
  'tls-key-file-pass',
  'tls-ca-cert-file',
  'tls-ca-cert-dir',
  'tls-auth-clients',
  'tls-protocols',
  'tls-ciphers',
  'tls-ciphersuites',
] as const satisfies readonly DirectiveName[]
