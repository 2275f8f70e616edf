/** EVAL and its kin, and the cache of scripts. */

import { fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import { NO_SCRIPT, type Script } from '../script/cache.ts'
import type { Call } from '../server/call.ts'
import { showToMonitors } from '../server/monitor.ts'
import { position } from './args.ts'
import { type ArgumentDoc, type Command, type CommandFlag, countedKeys, family, type KeyPositions } from './define.ts'
import { word } from './docs.ts'
import { HELP_ROW, replyHelp } from './help.ts'

const FLAGS: readonly CommandFlag[] = ['noscript', 'stale', 'skip_monitor', 'no_mandatory_keys', 'movablekeys']

const keys = (readOnly: boolean, notes: boolean): KeyPositions => {
  const flags = readOnly ? ['RO', 'access'] : ['RW', 'access', 'update']
  const assumed = readOnly ? 'RO and ACCESS' : 'RW and UPDATE'
  const positions = countedKeys(2, ...flags)
  if (!notes) return positions
  const note = `We cannot tell how the keys will be used so we assume the worst, ${assumed}`
  return { ...positions, specs: [{ flags, notes: note, begin: 2, counted: true }] }
}

const documented = (what: string): readonly ArgumentDoc[] => [
  { name: what, type: 'string' },
  { name: 'numkeys', type: 'integer' },
  { name: 'key', type: 'key', keySpec: 0, optional: true, multiple: true },
  { name: 'arg', type: 'string', optional: true, multiple: true },
]

/** A command that runs something with keys and arguments; `what` is the name of its first argument. */
export function runner(row: {
  readonly name: string
  readonly since: string
  readonly summary: string
  readonly kind: string
  readonly what: string
  readonly readOnly: boolean
  /** The key specification says that it assumes the worst. */
  readonly notes: boolean
  readonly run: (call: Call, argv: Argv) => void
}): Command {
  const { name, since, summary, kind, what, readOnly, notes, run } = row
  return {
    name,
    arity: -3,
    flags: readOnly ? ['readonly', ...FLAGS] : [...FLAGS, 'may_replicate'],
    keys: keys(readOnly, notes),
    group: 'scripting',
    since,
    summary,
    complexity: `Depends on the ${kind} that is executed.`,
    arguments: documented(what),
    run(call, argv) {
      // Monitors see it before what it does, even if that is nothing.
      showToMonitors(call.server, call.client, call.entry, argv)
      run(call, argv)
    },
  }
}

const EVAL = { kind: 'script', what: 'script', notes: true }
const EVALSHA = { kind: 'script', what: 'sha1', notes: false }

export const scriptingCommands = family(
  runner({
    ...EVAL,
    name: 'eval',
    since: '2.6.0',
    summary: 'Execute a Lua script server side',
    readOnly: false,
    run: (call, argv) => evaluate(call, argv, textOf, false),
  }),
  runner({
    ...EVALSHA,
    name: 'evalsha',
    since: '2.6.0',
    summary: 'Execute a Lua script server side',
    readOnly: false,
    run: (call, argv) => evaluateSha(call, argv, false),
  }),
  runner({
    ...EVAL,
    name: 'eval_ro',
    since: '7.0.0',
    summary: 'Execute a read-only Lua script server side',
    readOnly: true,
    run: (call, argv) => evaluate(call, argv, textOf, true),
  }),
  runner({
    ...EVALSHA,
    name: 'evalsha_ro',
    since: '7.0.0',
    summary: 'Execute a read-only Lua script server side',
    readOnly: true,
    run: (call, argv) => evaluateSha(call, argv, true),
  }),
  {
    name: 'script',
    arity: -2,
    flags: [],
    group: 'scripting',
    since: '2.6.0',
    summary: 'A container for Lua scripts management commands',
    complexity: 'Depends on subcommand.',
    subcommands: [
      {
        name: 'flush',
        arity: -2,
        flags: ['noscript'],
        group: 'scripting',
        since: '2.6.0',
        summary: 'Remove all the scripts from the script cache.',
        complexity: 'O(N) with N being the number of scripts in cache',
        tips: ['request_policy:all_nodes', 'response_policy:all_succeeded'],
        arguments: [
          {
            name: 'async',
            type: 'oneof',
            since: '6.2.0',
            optional: true,
            arguments: [word('ASYNC'), word('SYNC')],
          },
        ],
        run: flush,
      },
      {
        name: 'debug',
        arity: 3,
        flags: ['noscript'],
        group: 'scripting',
        since: '3.2.0',
        summary: 'Set the debug mode for executed scripts.',
        complexity: 'O(1)',
        arguments: [{ name: 'mode', type: 'oneof', arguments: [word('YES'), word('SYNC'), word('NO')] }],
        run: debug,
      },
      {
        name: 'exists',
        arity: -3,
        flags: ['noscript'],
        group: 'scripting',
        since: '2.6.0',
        summary: 'Check existence of scripts in the script cache.',
        complexity:
          'O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation).',
        tips: ['request_policy:all_shards', 'response_policy:agg_logical_and'],
        arguments: [{ name: 'sha1', type: 'string', multiple: true }],
        run: exists,
      },
      {
        ...HELP_ROW,
        group: 'scripting',
        run: ({ reply }) => replyHelp(reply, 'SCRIPT', HELP),
      },
      {
        name: 'load',
        arity: 3,
        flags: ['noscript', 'stale'],
        group: 'scripting',
        since: '2.6.0',
        summary: 'Load the specified Lua script into the script cache.',
        complexity: 'O(N) with N being the length in bytes of the script body.',
        tips: ['request_policy:all_nodes', 'response_policy:all_succeeded'],
        arguments: [{ name: 'script', type: 'string' }],
        run: ({ server, reply }, argv) => reply.text(server.scripting.cache.of(argv, 2).name),
      },
      {
        name: 'kill',
        arity: 2,
        flags: ['noscript', 'allow_busy'],
        group: 'scripting',
        since: '2.6.0',
        summary: 'Kill the script currently in execution.',
        complexity: 'O(1)',
        tips: ['request_policy:all_shards', 'response_policy:one_succeeded'],
        run({ server, reply }) {
          server.scripting.kill('eval')
          reply.ok()
        },
      },
    ],
  },
)

/** Hexadecimal digits of a SHA1. */
const SHA_LENGTH = 40

const textOf = ({ server }: Call, argv: Argv): Script => server.scripting.cache.of(argv, 1)
const shaOf = ({ server }: Call, argv: Argv): Script => server.scripting.cache.bySha(argv.word(1))

function evaluate(call: Call, argv: Argv, find: typeof textOf, readOnly: boolean): void {
  const count = keyCount(argv)
  call.server.scripting.eval(call, argv, find(call, argv), count, readOnly)
}

function evaluateSha(call: Call, argv: Argv, readOnly: boolean): void {
  if (argv.length(1) !== SHA_LENGTH) throw NO_SCRIPT
  evaluate(call, argv, shaOf, readOnly)
}

/** Argument 2: how many of the words after it are keys. Throws NOT_INTEGER, or why that cannot be. */
export function keyCount(argv: Argv): number {
  const count = position(argv, 2)
  if (count > argv.count - 3) throw fail("Number of keys can't be greater than number of args")
  if (count < 0) throw fail("Number of keys can't be negative")
  return count
}

/** The mode of SCRIPT FLUSH and FUNCTION FLUSH. Both are done at once: there is nothing slow about dropping references. */
export function readFlushMode(argv: Argv, refusal: string): void {
  if (argv.count > 3 || (argv.count === 3 && !['sync', 'async'].includes(argv.word(2)))) throw fail(refusal)
}

function flush({ server, reply }: Call, argv: Argv): void {
  readFlushMode(argv, 'SCRIPT FLUSH only support SYNC|ASYNC option')
  server.scripting.cache.flush()
  reply.ok()
}

function exists({ server, reply }: Call, argv: Argv): void {
  reply.array(argv.count - 2)
  for (let i = 2; i < argv.count; i++) reply.integer(server.scripting.cache.has(argv.word(i)) ? 1 : 0)
}

/** There is no debugger in the server: redis-cli --ldb is told so. */
function debug({ reply }: Call, argv: Argv): void {
  const mode = argv.word(2)
  if (mode === 'yes' || mode === 'sync') throw fail('SCRIPT DEBUG is not supported by this server')
  if (mode !== 'no') throw fail('Use SCRIPT DEBUG YES/SYNC/NO')
  reply.ok()
}

const HELP = `
DEBUG (YES|SYNC|NO)
    Set the debug mode for subsequent scripts executed.
EXISTS <sha1> [<sha1> ...]
    Return information about the existence of the scripts in the script cache.
FLUSH [ASYNC|SYNC]
    Flush the Lua scripts cache. Very dangerous on replicas.
    When called without the optional mode argument, the behavior is determined by the
    lazyfree-lazy-user-flush configuration directive. Valid modes are:
    * ASYNC: Asynchronously flush the scripts cache.
    * SYNC: Synchronously flush the scripts cache.
KILL
    Kill the currently executing Lua script.
LOAD <script>
    Load a script into the scripts cache without executing it.
`
