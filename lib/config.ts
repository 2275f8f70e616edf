/** The configuration of a node: built from a file and a command line, changed by CONFIG SET, written back by CONFIG REWRITE.
 *  This file is where it touches the disk; the table of directives is `config/directives.ts`. */
import { accessSync, closeSync, constants, openSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import { replaceFile } from '../store/nodes-file.ts'
import { reasonOf } from './base/system-error.ts'
import { ConfigError, checkTogether, loadText, readCommandLine } from './config/load.ts'
import { Config, type Files } from './config/settings.ts'
import { buildTlsOptions, type TlsOptions, type TlsRole } from './config/tls.ts'

export { CLUSTER_DIRECTIVES, clusterOptions } from './config/cluster-options.ts'
export type { BufferLimit, BufferLimits, ClientClass, SaveRule, Target } from './config/composite.ts'
export type { MemoryOrPercent } from './config/directive.ts'
export type { ConfigValues, DirectiveName } from './config/directives.ts'
export { ConfigError } from './config/load.ts'
export type { ChangeListener, Config } from './config/settings.ts'
export { isWelcome, type TlsOptions, type TlsRole } from './config/tls.ts'

/** The defaults, with `folder` (absolute, by default the process's) as working folder. */
export function createConfig(folder: string = process.cwd()): Config {
  return new Config(disk, folder)
}

/** Gives the lines of a configuration file to `config`. `path` names the file in errors. Throws ConfigError. */
export function loadConfigFile(config: Config, text: string, path: string): void {
  loadText({ config, files: disk, depth: 0 }, text, path)
}

/** The configuration a command line asks for: `[file] [-] [--name value ...]...`, later ones over earlier ones.
 *  `stdin` is called for `-`. Throws ConfigError, whose `report` is for stderr. */
export function configFromArguments(
  args: readonly string[],
  stdin: () => string,
  folder: string = process.cwd(),
): Config {
  const config = createConfig(folder)
  const line = readCommandLine(args)
  if (line.file !== undefined) {
    config.file = resolve(folder, line.file)
    loadConfigFile(config, readOrRefuse(config.file), line.file)
  }
  if (line.stdin) loadConfigFile(config, stdin(), 'standard input')
  loadConfigFile(config, line.text, 'the command line')
  checkTogether(config)
  tryLogFile(config)
  return config
}

/** Options of node:tls for one end of a connection, with the files read. Throws an Error that names directive and file. */
export const tlsOptions = (config: Config, role: TlsRole): TlsOptions => buildTlsOptions(config, role, disk)

const disk: Files = {
  read: (path) => readFileSync(path),
  readIfThere(path) {
    try {
      return readFileSync(path)
    } catch (failure) {
      if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw failure
    }
  },
  list: (folder) => readdirSync(folder),
  resolve: (base, path) => (isAbsolute(path) ? path : resolve(base, path)),
  refusesEntry(folder) {
    try {
      if (!statSync(folder).isDirectory()) return 'Not a directory'
      accessSync(folder, constants.X_OK)
      return undefined
    } catch (failure) {
      return reasonOf(failure)
    }
  },
  replace: (path, text) => replaceFile(path, text, true),
  describe: reasonOf,
}

function readOrRefuse(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (failure) {
    throw new ConfigError(`Fatal error, can't open config file '${path}': ${reasonOf(failure)}`)
  }
}

/** A log that cannot be written is found out now, not at the first line. */
function tryLogFile(config: Config): void {
  if (config.values.logfile === '') return
  try {
    closeSync(openSync(config.resolve(config.values.logfile), 'a'))
  } catch (failure) {
    throw new ConfigError(`Can't open the log file: ${reasonOf(failure)}`)
  }
}
