/** `rookery server`: one node as a process, started, logged and signalled like redis-server. */

import { spawn } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { wallClock } from '../base/clock.ts'
import { createLog, type Log, logSink } from '../base/log.ts'
import { type Config, ConfigError, configFromArguments } from '../config.ts'
import { Node } from '../node.ts'
import { ListenError } from '../server/listener.ts'
import { VERSION } from './version.ts'

/** Runs a node until it is told to stop. Ends the process with 1 when it cannot start. */
export async function runServer(args: readonly string[]): Promise<void> {
  if (['-v', '--version'].includes(args[0] ?? '')) return void process.stdout.write(`Rookery server v=${VERSION}\n`)
  if (['-h', '--help'].includes(args[0] ?? '')) return void process.stdout.write(HELP)
  const config = readConfig(args)
  if (config.values.daemonize && process.env[DAEMON] === undefined) return daemonize(args)
  const logfile = config.values.logfile === '' ? '' : config.resolve(config.values.logfile)
  const log = createLog({ level: config.values.loglevel, pid: process.pid, now: wallClock, sink: logSink(logfile) })
  config.onChange(['loglevel'], (values) => {
    log.level = values.loglevel
    return undefined
  })
  const exit = exitWith(config, log)
  const node = new Node({
    config,
    log,
    fatal(error) {
      log.warning(error.message)
      exit(undefined, 1)
    },
    shutdown: () => exit(node, 0),
  })
  process.on('uncaughtException', (error) => {
    log.warning(`Crashed by a bug: ${error.stack ?? error.message}`)
    exit(undefined, 1)
  })
  handleSignals(node, log, exit)
  try {
    await node.start()
    writePidFile(config, log)
  } catch (error) {
    log.warning(error instanceof Error ? error.message : String(error))
    if (error instanceof ListenError) log.warning(`Failed listening on port ${config.values.port} (tcp), aborting.`)
    exit(undefined, 1)
  }
}

const HELP = `Usage: rookery server [/path/to/redis.conf] [options] [-]
       rookery server -v or --version
       rookery server -h or --help

Examples:
       rookery server (run the server with default conf)
       rookery server /etc/redis/6379.conf
       rookery server --port 7777
       rookery server --port 7777 --replicaof 127.0.0.1 8888
       rookery server /etc/myredis.conf --loglevel verbose -
`

function readConfig(args: readonly string[]): Config {
  try {
    return configFromArguments(args, () => readFileSync(0, 'utf8'))
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(error.report)
    process.exit(1)
  }
}

/** Set in the environment of the process that stays in the background. */
const DAEMON = 'ROOKERY_DAEMON'

function daemonize(args: readonly string[]): void {
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, 'server', ...args], {
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, [DAEMON]: '1' },
  })
  child.unref()
}

type Exit = (node: Node | undefined, code: number) => void

/** Stops in good order, once; the process is gone afterwards whatever hangs. */
function exitWith(config: Config, log: Log): Exit {
  let begun = false
  return (node, code) => {
    if (begun) return
    begun = true
    const leave = (): never => {
      if (config.values.pidfile !== '') rmSync(config.resolve(config.values.pidfile), { force: true })
      process.exit(code)
    }
    if (node === undefined) leave()
    log.warning('User requested shutdown...')
    setTimeout(leave, STOP_WITHIN_MS).unref()
    node?.stop().then(
      () => {
        log.warning('Redis is now ready to exit, bye bye...')
        leave()
      },
      (error) => {
        log.warning(`Error while stopping: ${error}`)
        leave()
      },
    )
  }
}

const STOP_WITHIN_MS = 5000

function handleSignals(node: Node, log: Log, exit: Exit): void {
  let asked = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (asked && signal === 'SIGINT') {
        log.warning('You insist... exiting now.')
        process.exit(1)
      }
      asked = true
      log.warning(`Received ${signal} scheduling shutdown...`)
      if (node.prepareToStop()) return exit(node, 0)
      log.warning(`${signal} received but errors trying to shut down the server, check the logs for more information`)
      asked = false
    })
  process.on('SIGHUP', () => {})
}

function writePidFile(config: Config, log: Log): void {
  const { pidfile, daemonize: background } = config.values
  if (pidfile === '' && !background) return
  const file = config.resolve(pidfile === '' ? '/var/run/redis.pid' : pidfile)
  try {
    writeFileSync(file, `${process.pid}\n`)
  } catch (error) {
    log.warning(`Failed to write PID file: ${error instanceof Error ? error.message : error}`)
  }
}
