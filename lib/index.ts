/** The package's API: a node inside your own process. */
import { wallClock } from './base/clock.ts'
import { createLog } from './base/log.ts'
import { createConfig, loadConfigFile } from './config.ts'
import { Node } from './node.ts'

export { ConfigError } from './config.ts'

export interface NodeOptions {
  /** Directives as a configuration file has them: `{ port: 7000, 'cluster-enabled': 'yes' }`. */
  readonly directives?: Readonly<Record<string, string | number>>
  /** Receives each finished log line; without it nothing is logged. */
  readonly log?: (line: string) => void
  /** Something ended the node from inside: SHUTDOWN by a client, or a nodes.conf that cannot be written any more. */
  readonly onEnd?: (error: Error | undefined) => void
}

export interface RunningNode {
  /** Opens the ports. Rejects when one is taken or nodes.conf is unusable; nothing is left open then. */
  start(): Promise<void>
  /** Closes ports and connections. */
  stop(): Promise<void>
  /** Where clients connect. */
  readonly address: { readonly host: string; readonly port: number }
}

/** Builds a node; nothing is opened before `start`. Throws a ConfigError for directives that are unknown or wrong. */
export function createNode(options: NodeOptions = {}): RunningNode {
  const config = createConfig()
  for (const [name, value] of Object.entries(options.directives ?? {}))
    loadConfigFile(config, `${name} ${JSON.stringify(String(value))}`, 'the options of createNode')
  const sink = options.log ?? (() => {})
  const log = createLog({ level: config.values.loglevel, pid: process.pid, now: wallClock, sink })
  const end = (error?: Error): void => {
    void node.stop().finally(() => options.onEnd?.(error))
  }
  const node = new Node({ config, log, fatal: end, shutdown: () => end() })
  return {
    start: () => node.start(),
    stop: () => node.stop(),
    get address() {
      return { host: '127.0.0.1', port: config.values.port || config.values.tlsPort }
    },
  }
}
