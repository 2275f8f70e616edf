/** MODULE: there are none, and none can be loaded: they are native code for a C server. */
import { fail } from '../errors.ts'
import { type ArgumentDoc, type Command, family } from './define.ts'
import { HELP_ROW, replyHelp } from './help.ts'

/** MODULE LOAD and its kin, which need enable-module-command. */
const changing = (
  row: Pick<Command, 'name' | 'arity' | 'since' | 'summary' | 'arguments'>,
  refusal: string,
): Command => ({
  ...row,
  flags: ['admin', 'noscript', 'no_async_loading'],
  group: 'server',
  complexity: 'O(1)',
  run() {
    throw fail(refusal)
  },
})

const PATH: ArgumentDoc = { name: 'path', type: 'string' }
const NOT_LOADED = 'Error loading the extension. Please check the server logs.'

export const moduleCommands = family({
  name: 'module',
  arity: -2,
  flags: [],
  group: 'server',
  since: '4.0.0',
  summary: 'A container for module commands',
  complexity: 'Depends on subcommand.',
  subcommands: [
    {
      ...HELP_ROW,
      group: 'server',
      run: ({ reply }) => replyHelp(reply, 'MODULE', HELP),
    },
    {
      name: 'list',
      arity: 2,
      flags: ['admin', 'noscript'],
      group: 'server',
      since: '4.0.0',
      summary: 'List all modules loaded by the server',
      complexity: 'O(N) where N is the number of loaded modules.',
      tips: ['nondeterministic_output_order'],
      run: ({ reply }) => reply.array(0),
    },
    changing(
      {
        name: 'load',
        arity: -3,
        since: '4.0.0',
        summary: 'Load a module',
        arguments: [PATH, { name: 'arg', type: 'string', optional: true, multiple: true }],
      },
      NOT_LOADED,
    ),
    changing(
      {
        name: 'loadex',
        arity: -3,
        since: '7.0.0',
        summary: 'Load a module with extended parameters',
        arguments: [
          PATH,
          {
            name: 'configs',
            type: 'block',
            token: 'CONFIG',
            optional: true,
            multiple: true,
            multipleToken: true,
            arguments: [
              { name: 'name', type: 'string' },
              { name: 'value', type: 'string' },
            ],
          },
          {
            name: 'args',
            type: 'block',
            token: 'ARGS',
            optional: true,
            multiple: true,
            arguments: [{ name: 'arg', type: 'string' }],
          },
        ],
      },
      NOT_LOADED,
    ),
    changing(
      {
        name: 'unload',
        arity: 3,
        since: '4.0.0',
        summary: 'Unload a module',
        arguments: [{ name: 'name', type: 'string' }],
      },
      'Error unloading module: no such module with that name',
    ),
  ],
})

const HELP = `
LIST
    Return a list of loaded modules.
LOAD <path> [<arg> ...]
    Load a module library from <path>, passing to it any optional arguments.
LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]
    Load a module library from <path>, while passing it module configurations and optional arguments.
UNLOAD <name>
    Unload a module.
`
