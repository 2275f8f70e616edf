/** What the slow log and MONITOR must not show: passwords among the arguments of a request. */
import type { CommandEntry } from '../commands/table.ts'
import type { Argv } from '../resp/argv.ts'

const REDACTED = Buffer.from('(redacted)')
const SECRET_DIRECTIVES = new Set([
  'requirepass',
  'masterauth',
  'primaryauth',
  'masteruser',
  'tls-key-file-pass',
  'tls-client-key-file-pass',
])

/** Whether argument `i` of a command is a secret, by full name of the command. */
const SECRETS: Readonly<Record<string, (argv: Argv, i: number) => boolean>> = {
  auth: (_, i) => i >= 1,
  hello: (argv, i) => (i > 2 && argv.word(i - 1) === 'auth') || (i > 3 && argv.word(i - 2) === 'auth'),
  'config|set': (argv, i) => i % 2 === 1 && i >= 3 && SECRET_DIRECTIVES.has(argv.word(i - 1)),
  'acl|setuser': (_, i) => i >= 3,
  'acl|getuser': (_, i) => i >= 2,
  'acl|deluser': (_, i) => i >= 2,
  migrate: (argv, i) =>
    i > 6 && (argv.word(i - 1) === 'auth' || argv.word(i - 1) === 'auth2' || argv.word(i - 2) === 'auth2'),
}

/** Argument `i` as it may be shown: a view of the request, or "(redacted)". */
export function shownArgument(entry: CommandEntry, argv: Argv, i: number): Buffer {
  return SECRETS[entry.fullName]?.(argv, i) === true ? REDACTED : argv.at(i)
}
