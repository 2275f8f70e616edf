/** One node: builds its parts, joins them, starts them in order and stops them in reverse. */
import path from 'node:path'
import { BUS_PORT_OFFSET } from '../bus/announce.ts'
import { NodesConfError, readNodesConf } from '../bus/nodes-conf.ts'
import { type Cluster, createCluster } from '../bus/state.ts'
import { Keyspace } from '../store/keyspace.ts'
import { type NodesFile, openNodesFile } from '../store/nodes-file.ts'
import { SLOT_COUNT } from './base/brand.ts'
import { steadyClock } from './base/clock.ts'
import type { Log } from './base/log.ts'
import { systemRandom } from './base/random.ts'
import { reasonOf } from './base/system-error.ts'
import { VERSION } from './cli/version.ts'
import { FAMILIES } from './commands/families.ts'
import { CommandTable } from './commands/table.ts'
import {
  CLUSTER_DIRECTIVES,
  type Config,
  type ConfigValues,
  clusterOptions,
  type DirectiveName,
  type TlsOptions,
  tlsOptions,
} from './config.ts'
import { type Cron, startCron } from './cron.ts'
import { Driver, localFacts } from './driver.ts'
import { Persistence } from './persistence.ts'
import { dialer } from './replication/dial.ts'
import { Replication } from './replication/role.ts'
import { checkTls, ListenError, type Listener, type ListenOptions, listen } from './server/listener.ts'
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
  /** Read from the files the configuration names when it was given, and not again before it changes. */
  #tls: TlsOptions | undefined

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
    this.server.acl.declare()
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
      this.#followAddresses()
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
        listen: { host: values.bind, port: busPort(values) },
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
      options: clusterOptions(config, busPort(config.values)),
      facts: localFacts(
        () => this.server,
        (link) => this.#driver?.bufferedOn(link) ?? 0,
      ),
      random: systemRandom,
      now: steadyClock(),
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
    if (config.values.tlsPort > 0) this.#tls = tlsOptions(config, 'server')
    this.#listener = await listen(this.server, this.#places())
    await this.#driver?.listen()
  }

  /** Where clients are to find us. */
  #places(): ListenOptions {
    const { values } = this.#parts.config
    return {
      bind: values.bind,
      port: values.port,
      tlsPort: values.tlsPort,
      ...(this.#tls ? { tlsOptions: this.#tls } : {}),
      unixSocket: values.unixsocket === '' ? '' : path.resolve(values.dir, values.unixsocket),
      unixSocketMode: values.unixsocketperm,
      backlog: values.tcpBacklog,
    }
  }

  /** Ports, addresses and certificates follow the configuration. The bus keeps its port. */
  #followAddresses(): void {
    const { config } = this.#parts
    config.onChange(['tls-port', 'tls-cluster', 'tls-replication', ...TLS_DIRECTIVES], () => this.#readCertificates())
    config.onChange(['bind', 'port', 'tls-port', ...TLS_DIRECTIVES], () => {
      this.server.moving = this.server.moving.then(() => this.#move())
      return undefined
    })
  }

  /** Reads the certificates anew. Gives the refusal of CONFIG SET when they cannot be used. */
  #readCertificates(): string | undefined {
    const { config, log } = this.#parts
    const { tlsPort, tlsCluster, tlsReplication } = config.values
    if (!tlsCluster) this.#driver?.secure(undefined)
    if (tlsPort === 0 && !tlsCluster && !tlsReplication) return undefined
    try {
      const options = tlsOptions(config, 'server')
      checkTls(options)
      if (tlsCluster) this.#driver?.secure(options)
      this.#tls = options
      return undefined
    } catch (error) {
      log.warning(`Failed to configure TLS: ${error instanceof Error ? error.message : error}`)
      return TLS_REFUSAL
    }
  }

  /** Listens where the configuration says by now; false when that is impossible and everything stays. */
  async #move(): Promise<boolean> {
    try {
      await this.#listener?.move(this.#places())
      return true
    } catch (error) {
      if (!(error instanceof ListenError)) throw error
      this.#parts.log.warning(`Warning: ${error.message}`)
      this.#parts.log.warning('Failed applying new configuration. Restoring previous settings.')
      return false
    }
  }
}

/** The slots of which a data set has keys. */
function slotsWithKeys({ databases }: Keyspace): number[] {
  const slots: number[] = []
  if (databases[0]!.size === 0) return slots
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
const busPort = ({ clusterPort, tlsCluster, tlsPort, port }: ConfigValues): number =>
  clusterPort || (tlsCluster ? tlsPort : port) + BUS_PORT_OFFSET

const TLS_REFUSAL = 'Unable to update TLS configuration. Check server logs.'

const TLS_DIRECTIVES = [
  'tls-cert-file',
  'tls-key-file',
  'tls-key-file-pass',
  'tls-client-cert-file',
  'tls-client-key-file',
  'tls-client-key-file-pass',
  'tls-dh-params-file',
  'tls-ca-cert-file',
  'tls-ca-cert-dir',
  'tls-auth-clients',
  'tls-protocols',
  'tls-ciphers',
  'tls-ciphersuites',
  'tls-prefer-server-ciphers',
  'tls-session-cache-timeout',
] as const satisfies readonly DirectiveName[]
