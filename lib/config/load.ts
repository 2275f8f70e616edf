/** Reading configuration files and command lines into a `Config`, with Redis's line syntax and its texts for what is wrong. */
import { globMatch } from '../base/glob.ts'
import { splitInline } from '../resp/inline.ts'
import { quote } from './quote.ts'
import type { Config, Files } from './settings.ts'

/** Where a line stands. */
interface Place {
  readonly source: string
  readonly line: number
  readonly text: string
}

/** A configuration the server does not start with. `report` is what belongs on stderr. */
export class ConfigError extends Error {
  readonly report: string
  constructor(why: string, place?: Place) {
    super(place === undefined ? why : `${place.source}:${place.line}: ${place.text}: ${why}`)
    const where =
      place === undefined
        ? ''
        : `Reading the configuration file, at line ${place.line} of ${place.source}\n>>> '${place.text}'\n`
    this.report = `\n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\n${where}${why}\n`
  }
}

const BAD = 'Bad directive or wrong number of arguments'

/** Directives of old versions that 7.0 reads over. */
const OBSOLETE: ReadonlySet<string> = new Set([
  'list-max-ziplist-entries',
  'list-max-ziplist-value',
  'lua-replicate-commands',
])

/** A file that includes itself must not take the server with it. */
const MAX_DEPTH = 16

interface Loading {
  readonly config: Config
  readonly files: Files
  readonly depth: number
}

/** Lines that are not in the table of directives: what they do, or why they are refused. */
const STATEMENTS: Readonly<Record<string, (words: readonly string[], loading: Loading) => string | undefined>> = {
  include: ([path, ...more], loading) => (path === undefined || more.length > 0 ? BAD : include(path, loading)),
  'rename-command'([from, to, ...more], { config }) {
    if (from === undefined || to === undefined || more.length > 0) return BAD
    config.renames.push([from.toLowerCase(), to.toLowerCase()])
    return undefined
  },
  user(words, { config }) {
    if (words.length === 0) return BAD
    config.users.push(words)
    return undefined
  },
  loadmodule: () => 'loadmodule: modules are native code for redis-server and cannot be loaded by this server',
  sentinel: () => 'sentinel directive while not in sentinel mode',
}

/** Gives every line of `text` to the configuration. `source` names it in errors. Throws ConfigError. */
export function loadText(loading: Loading, text: string, source: string): void {
  for (const [i, raw] of text.split('\n').entries()) {
    const line = raw.replace(/^[ \t\r]+|[ \t\r]+$/g, '')
    if (line === '' || line.startsWith('#')) continue
    const place = { source, line: i + 1, text: line }
    const words = splitInline(Buffer.from(line))?.map((word) => word.toString())
    if (words === undefined) throw new ConfigError('Unbalanced quotes in configuration line', place)
    const why = obey(words, loading)
    if (why !== undefined) throw new ConfigError(why, place)
  }
}

function obey([first = '', ...words]: readonly string[], loading: Loading): string | undefined {
  const name = first.toLowerCase()
  const answer = loading.config.give(name, words)
  if (answer === 'given') return undefined
  if (answer !== 'unknown') return answer.refusal
  if (OBSOLETE.has(name) && words.length === 1) return undefined
  const statement = Object.hasOwn(STATEMENTS, name) ? STATEMENTS[name] : undefined
  return statement === undefined ? BAD : statement(words, loading)
}

/** Includes a file, relative to the working folder so far. A pattern in its last part includes all that match, or none. */
function include(path: string, loading: Loading): string | undefined {
  if (loading.depth >= MAX_DEPTH) return 'include: files are nested too deeply'
  const { files, config } = loading
  const full = files.resolve(config.values.dir, path)
  for (const file of /[*?[]/.test(path) ? matching(full, files) : [full]) {
    let text: string
    try {
      text = files.read(file).toString()
    } catch (failure) {
      return `Fatal error, can't open config file '${file}': ${files.describe(failure)}`
    }
    loadText({ ...loading, depth: loading.depth + 1 }, text, file)
  }
  return undefined
}

function matching(pattern: string, files: Files): string[] {
  const cut = pattern.search(/[^/\\]*$/)
  const folder = pattern.slice(0, cut)
  const last = Buffer.from(pattern.slice(cut))
  const names = files.list(folder).filter((name) => globMatch(last, Buffer.from(name)))
  return names.sort().map((name) => folder + name)
}

/** A command line, taken apart. */
export interface CommandLine {
  /** The configuration file: the first argument, unless it is an option. */
  readonly file: string | undefined
  /** `-` first or last: more of the configuration comes from standard input. */
  readonly stdin: boolean
  /** The options as lines of a configuration: `--save 900 1` is `save "900" "1"`. */
  readonly text: string
}

/** Reads `[file] [-] [--name value ...]...` as redis-server does. A word after `--name` is its value even if it begins with
 *  dashes, but for `--save --other`, which means an empty value. */
export function readCommandLine(args: readonly string[]): CommandLine {
  const file = args[0]?.startsWith('-') === false ? args[0] : undefined
  const start = file === undefined ? 0 : 1
  const lines: string[] = []
  let stdin = false
  let nameExpected = true
  for (let i = start; i < args.length; i++) {
    const arg = args[i]!
    if (arg === '-' && (i === 0 || i === args.length - 1)) {
      stdin = true
    } else if (nameExpected && arg.startsWith('--')) {
      const empty = arg.toLowerCase() === '--save' && args[i + 1]?.startsWith('--') !== false
      lines.push(arg.slice(2) + (empty ? ' ""' : ''))
      // "--port 7000" in one argument is complete.
      nameExpected = empty || splitInline(Buffer.from(arg))?.length !== 1
    } else {
      lines.push(lines.length === 0 ? quote(arg) : `${lines.pop()} ${quote(arg)}`)
      nameExpected = true
    }
  }
  return { file, stdin, text: lines.join('\n') }
}

/** What is wrong with the configuration as a whole, although each line is right. Throws ConfigError. */
export function checkTogether({ values, users }: Config): void {
  const { clusterEnabled, clusterPort, tlsCluster, tlsPort, port } = values
  if (users.length > 0 && values.aclfile !== '')
    throw new ConfigError('Users are defined in the configuration file and aclfile is set too: choose one of them.')
  if (!clusterEnabled) return
  if (values.replicaof !== undefined) throw new ConfigError('replicaof directive not allowed in cluster mode')
  if (clusterPort === 0 && (tlsCluster ? tlsPort : port) > 55535)
    throw new ConfigError(
      'Redis port number too high. Cluster communication port is 10,000 port numbers higher than your Redis port. ' +
        'Your Redis port number must be 55535 or less, or cluster-port has to be set.',
    )
  if (values.bind.length === 0)
    throw new ConfigError('No bind address is configured, but it is required for the Cluster bus.')
}
