/** FUNCTION and FCALL: scripts that stay with the data. */
import { dumpLibraries, loadLibraries } from '../../store/rdb/dump.ts'
import { RdbError } from '../../store/rdb/source.ts'
import { globMatch } from '../base/glob.ts'
import { ClientError, fail, NOT_INTEGER } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Library, RestorePolicy } from '../script/libraries.ts'
import type { Call } from '../server/call.ts'
import { family } from './define.ts'
import { option, word } from './docs.ts'
import { replyHelp, tooManyArguments } from './help.ts'
import { keyCount, readFlushMode, runner } from './scripting.ts'

const TO_ALL_SHARDS = ['request_policy:all_shards', 'response_policy:all_succeeded']
const FCALL = { since: '7.0.0', kind: 'function', what: 'function', notes: true }

export const functionCommands = family(
  runner({
    ...FCALL,
    name: 'fcall',
    summary: 'Invoke a function',
    readOnly: false,
    run: (call, argv) => callFunction(call, argv, false),
  }),
  runner({
    ...FCALL,
    name: 'fcall_ro',
    summary: 'Invoke a read-only function',
    readOnly: true,
    run: (call, argv) => callFunction(call, argv, true),
  }),
  {
    name: 'function',
    arity: -2,
    flags: [],
    group: 'scripting',
    since: '7.0.0',
    summary: 'A container for function commands',
    complexity: 'Depends on subcommand.',
    subcommands: [
      {
        name: 'dump',
        arity: 2,
        flags: ['noscript'],
        group: 'scripting',
        since: '7.0.0',
        summary: 'Dump all functions into a serialized binary payload',
        complexity: 'O(N) where N is the number of functions',
        run: ({ server, reply }) =>
          reply.bulk(dumpLibraries(bodiesOf(server.scripting.libraries), server.config.values.rdbcompression)),
      },
      {
        name: 'stats',
        arity: 2,
        flags: ['noscript', 'allow_busy'],
        group: 'scripting',
        since: '7.0.0',
        summary: 'Return information about the function currently running (name, description, duration)',
        complexity: 'O(1)',
        tips: ['nondeterministic_output', 'request_policy:all_shards', 'response_policy:special'],
        run: stats,
      },
      {
        name: 'load',
        arity: -3,
        flags: ['write', 'denyoom', 'noscript'],
        group: 'scripting',
        since: '7.0.0',
        summary: 'Create a function with the given arguments (name, code, description)',
        complexity: 'O(1) (considering compilation time is redundant)',
        tips: TO_ALL_SHARDS,
        arguments: [option('REPLACE'), { name: 'function-code', type: 'string' }],
        run: load,
      },
      {
        name: 'restore',
        arity: -3,
        flags: ['write', 'denyoom', 'noscript'],
        group: 'scripting',
        since: '7.0.0',
        summary: 'Restore all the functions on the given payload',
        complexity: 'O(N) where N is the number of functions on the payload',
        tips: TO_ALL_SHARDS,
        arguments: [
          { name: 'serialized-value', type: 'string' },
          {
            name: 'policy',
            type: 'oneof',
            optional: true,
            arguments: [word('FLUSH'), word('APPEND'), word('REPLACE')],
          },
        ],
        run: restore,
      },
      {
        name: 'flush',
        arity: -2,
        flags: ['write', 'noscript'],
        group: 'scripting',
        since: '7.0.0',
        summary: 'Deleting all functions',
        complexity: 'O(N) where N is the number of functions deleted',
        tips: TO_ALL_SHARDS,
        arguments: [{ name: 'async', type: 'oneof', optional: true, arguments: [word('ASYNC'), word('SYNC')] }],
        run({ server, reply }, argv) {
          readFlushMode(argv, 'FUNCTION FLUSH only supports SYNC|ASYNC option')
          server.scripting.libraries.flush()
          reply.ok()
        },
      },
      {
        name: 'help',
        arity: 2,
        flags: ['loading', 'stale'],
        group: 'scripting',
        since: '7.0.0',
        summary: 'Show helpful text about the different subcommands',
        complexity: 'O(1)',
        run: ({ reply }) => replyHelp(reply, 'FUNCTION', HELP),
      },
      {
        name: 'kill',
        arity: 2,
        flags: ['noscript', 'allow_busy'],
        group: 'scripting',
        since: '7.0.0',
        summary: 'Kill the function currently in execution.',
        complexity: 'O(1)',
        tips: ['request_policy:all_shards', 'response_policy:one_succeeded'],
        run({ server, reply }) {
          server.scripting.kill('function')
          reply.ok()
        },
      },
      {
        name: 'list',
        arity: -2,
        flags: ['noscript'],
        group: 'scripting',
        since: '7.0.0',
        summary: 'List information about all the functions',
        complexity: 'O(N) where N is the number of functions',
        tips: ['nondeterministic_output_order'],
        arguments: [
          { name: 'library-name-pattern', type: 'string', token: 'LIBRARYNAME', optional: true },
          option('WITHCODE'),
        ],
        run: list,
      },
      {
        name: 'delete',
        arity: 3,
        flags: ['write', 'noscript'],
        group: 'scripting',
        since: '7.0.0',
        summary: 'Delete a function by name',
        complexity: 'O(1)',
        tips: TO_ALL_SHARDS,
        arguments: [{ name: 'library-name', type: 'string' }],
        run({ server, reply }, argv) {
          server.scripting.libraries.delete(argv.text(2))
          reply.ok()
        },
      },
    ],
  },
)

const bodiesOf = (libraries: Iterable<Library>): Buffer[] => Array.from(libraries, ({ code }) => code)

function callFunction(call: Call, argv: Argv, readOnly: boolean): void {
  const { scripting } = call.server
  const fn = scripting.libraries.find(argv.text(1))
  if (fn === undefined) throw fail('Function not found')
  scripting.callFunction(call, argv, fn, functionKeyCount(argv), readOnly)
}

function functionKeyCount(argv: Argv): number {
  try {
    return keyCount(argv)
  } catch (error) {
    throw error === NOT_INTEGER ? fail('Bad number of keys provided') : error
  }
}

function load(call: Call, argv: Argv): void {
  let replace = false
  for (let i = 2; i < argv.count - 1; i++) {
    if (argv.word(i) !== 'replace') throw fail(`Unknown option given: ${argv.text(i)}`)
    replace = true
  }
  const name = call.server.scripting.libraries.load(argv.own(argv.count - 1), replace)
  call.reply.name(name)
}

const POLICIES: readonly string[] = ['flush', 'append', 'replace'] satisfies RestorePolicy[]
const isPolicy = (text: string): text is RestorePolicy => POLICIES.includes(text)

function restore(call: Call, argv: Argv): void {
  if (argv.count > 4) throw tooManyArguments('FUNCTION', argv)
  const policy = argv.count === 4 ? argv.word(3) : 'append'
  if (!isPolicy(policy)) throw fail('Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.')
  call.server.scripting.libraries.restore(readPayload(argv.own(2)), policy)
  call.reply.ok()
}

function readPayload(payload: Buffer): readonly Buffer[] {
  try {
    return loadLibraries(payload)
  } catch (cause) {
    if (cause instanceof RdbError) throw new ClientError(`ERR ${cause.message}`)
    throw cause
  }
}

function stats({ server, reply }: Call): void {
  const { running, libraries } = server.scripting
  reply.map(2)
  reply.text('running_script')
  if (running === undefined) reply.nil()
  else {
    reply.map(3)
    reply.text('name')
    reply.text(running.name)
    reply.text('command')
    const { request } = running
    reply.array(request.count)
    for (let i = 0; i < request.count; i++) reply.bulk(request.at(i))
    reply.text('duration_ms')
    reply.integer(running.ms)
  }
  reply.text('engines')
  reply.map(1)
  reply.text('LUA')
  reply.map(2)
  reply.text('libraries_count')
  reply.integer(libraries.count)
  reply.text('functions_count')
  reply.integer(libraries.functionCount)
}

function list({ server, reply }: Call, argv: Argv): void {
  let pattern: Buffer | undefined
  let withCode = false
  for (let i = 2; i < argv.count; i++) {
    const name = argv.word(i)
    if (name === 'withcode' && !withCode) withCode = true
    else if (name === 'libraryname' && pattern === undefined) {
      if (i + 1 >= argv.count) throw fail('library name argument was not given')
      pattern = argv.own(++i)
    } else throw fail(`Unknown argument ${argv.text(i)}`)
  }
  const wanted = pattern
  const found = [...server.scripting.libraries].filter(
    ({ name }) => wanted === undefined || globMatch(wanted, Buffer.from(name, 'latin1'), true),
  )
  reply.array(found.length)
  for (const library of found) replyLibrary(reply, library, withCode)
}

function replyLibrary(reply: Call['reply'], { name, code, functions }: Library, withCode: boolean): void {
  reply.map(withCode ? 4 : 3)
  reply.text('library_name')
  reply.text(name)
  reply.text('engine')
  reply.text('LUA')
  reply.text('functions')
  reply.array(functions.length)
  for (const fn of functions) {
    reply.map(3)
    reply.text('name')
    reply.text(fn.name)
    reply.text('description')
    if (fn.description === undefined) reply.nil()
    else reply.name(fn.description)
    reply.text('flags')
    reply.set(fn.flags.length)
    for (const flag of fn.flags) reply.simple(flag)
  }
  if (!withCode) return
  reply.text('library_code')
  reply.bulk(code)
}

const HELP = `
LOAD [REPLACE] <FUNCTION CODE>
    Create a new library with the given library name and code.
DELETE <LIBRARY NAME>
    Delete the given library.
LIST [LIBRARYNAME PATTERN] [WITHCODE]
    Return general information on all the libraries:
    * Library name
    * The engine used to run the Library
    * Library description
    * Functions list
    * Library code (if WITHCODE is given)
    It also possible to get only function that matches a pattern using LIBRARYNAME argument.
STATS
    Return information about the current function running:
    * Function name
    * Command used to run the function
    * Duration in MS that the function is running
    If no function is running, return nil
    In addition, returns a list of available engines.
KILL
    Kill the current running function.
FLUSH [ASYNC|SYNC]
    Delete all the libraries.
    When called without the optional mode argument, the behavior is determined by the
    lazyfree-lazy-user-flush configuration directive. Valid modes are:
    * ASYNC: Asynchronously flush the libraries.
    * SYNC: Synchronously flush the libraries.
DUMP
    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE command
RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]
    Restore the libraries represented by the given payload, it is possible to give a restore policy to
    control how to handle existing libraries (default APPEND):
    * FLUSH: delete all existing libraries.
    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.
    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the old
      libraries with the new libraries (notice that even on this option there is a chance of failure
      in case of functions name collision with another library).
`
