/** CLIENT TRACKING and what belongs to it: server-assisted client-side caching. */
import { parseInteger } from '../base/bytes.ts'
import { fail, NOT_INTEGER, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import type { Client } from '../server/client.ts'
import type { Tracking } from '../server/tracking.ts'
import { type Command, type CommandFlag, family } from './define.ts'
import { option, word } from './docs.ts'

const ANYBODY: readonly CommandFlag[] = ['noscript', 'loading', 'stale']

/** A subcommand of CLIENT. */
const sub = (row: Omit<Command, 'group' | 'flags'>): Command => ({ group: 'connection', flags: ANYBODY, ...row })

export const trackingSubcommands = family(
  sub({
    name: 'caching',
    arity: 3,
    since: '6.0.0',
    summary: 'Instruct the server about tracking or not keys in the next request',
    complexity: 'O(1)',
    arguments: [{ name: 'mode', type: 'oneof', arguments: [word('YES'), word('NO')] }],
    run: caching,
  }),
  sub({
    name: 'getredir',
    arity: 2,
    since: '6.0.0',
    summary: 'Get tracking notifications redirection client ID if any',
    complexity: 'O(1)',
    run: ({ client, reply }) => reply.integer(client.tracking?.redirect ?? -1),
  }),
  sub({
    name: 'tracking',
    arity: -3,
    since: '6.0.0',
    summary: 'Enable or disable server assisted client side caching support',
    complexity: 'O(1). Some options may introduce additional complexity.',
    arguments: [
      { name: 'status', type: 'oneof', arguments: [word('ON'), word('OFF')] },
      { name: 'client-id', type: 'integer', token: 'REDIRECT', optional: true },
      { name: 'prefix', type: 'string', token: 'PREFIX', optional: true, multiple: true, multipleToken: true },
      option('BCAST'),
      option('OPTIN'),
      option('OPTOUT'),
      option('NOLOOP'),
    ],
    run: track,
  }),
  sub({
    name: 'trackinginfo',
    arity: 2,
    since: '6.2.0',
    summary: 'Return information about server assisted client side caching for the current connection',
    complexity: 'O(1)',
    run: trackingInfo,
  }),
)

function readMode({ server }: Call, argv: Argv): Tracking {
  const words = new Set<string>()
  const prefixes: string[] = []
  let redirect = 0
  for (let i = 3; i < argv.count; i++) {
    const name = argv.word(i)
    const hasValue = i + 1 < argv.count
    if (name === 'redirect' && hasValue) {
      if (redirect !== 0) throw fail('A client can only redirect to a single other client')
      const id = parseInteger(argv.at(++i))
      if (id === undefined) throw NOT_INTEGER
      if (!server.clients.has(id)) throw fail('The client ID you want redirect to does not exist')
      redirect = id
    } else if (name === 'prefix' && hasValue) prefixes.push(argv.text(++i))
    else if (['bcast', 'optin', 'optout', 'noloop'].includes(name)) words.add(name)
    else throw SYNTAX
  }
  return {
    bcast: words.has('bcast'),
    optin: words.has('optin'),
    optout: words.has('optout'),
    noloop: words.has('noloop'),
    prefixes,
    redirect,
    redirectBroken: false,
    caching: false,
  }
}

function track(call: Call, argv: Argv): void {
  const { server, client, reply } = call
  const mode = readMode(call, argv)
  const status = argv.word(2)
  if (status === 'on') {
    checkMode(mode, client)
    server.tracking.enable(client, mode)
  } else if (status === 'off') server.tracking.disable(client)
  else throw SYNTAX
  reply.ok()
}

const CANNOT_SWITCH = 'before disabling tracking for this client, and then re-enabling it with a different mode.'

/** Throws unless the options agree with each other and with the mode the client is in. */
function checkMode({ bcast, optin, optout, prefixes }: Tracking, { tracking: old }: Client): void {
  if (!bcast && prefixes.length > 0) throw fail('PREFIX option requires BCAST mode to be enabled')
  if (old !== undefined && old.bcast !== bcast) throw fail(`You can't switch BCAST mode on/off ${CANNOT_SWITCH}`)
  if (bcast && (optin || optout)) throw fail('OPTIN and OPTOUT are not compatible with BCAST')
  if (optin && optout) throw fail("You can't specify both OPTIN mode and OPTOUT mode")
  if ((optin && old?.optout) || (optout && old?.optin))
    throw fail(`You can't switch OPTIN/OPTOUT mode ${CANNOT_SWITCH}`)
  for (const [i, prefix] of prefixes.entries()) {
    refuseOverlap(prefix, old?.prefixes ?? [], 'an existing prefix')
    refuseOverlap(prefix, prefixes.slice(i + 1), 'another provided prefix')
  }
}

function refuseOverlap(prefix: string, others: readonly string[], what: string): void {
  const other = others.find((one) => one.startsWith(prefix) || prefix.startsWith(one))
  if (other === undefined) return
  throw fail(`Prefix '${prefix}' overlaps with ${what} '${other}'. Prefixes for a single client must not overlap.`)
}

function caching({ client, reply }: Call, argv: Argv): void {
  const mode = client.tracking
  if (mode === undefined)
    throw fail(
      'CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled',
    )
  const answer = argv.word(2)
  if (answer !== 'yes' && answer !== 'no') throw SYNTAX
  const needed = answer === 'yes' ? 'optin' : 'optout'
  if (!mode[needed])
    throw fail(
      `CLIENT CACHING ${answer.toUpperCase()} is only valid when tracking is enabled in ${needed.toUpperCase()} mode.`,
    )
  mode.caching = true
  reply.ok()
}

function trackingInfo({ client, reply }: Call): void {
  const mode = client.tracking
  const flags = mode === undefined ? ['off'] : ['on', ...flagsOf(mode)]
  const prefixes = mode?.prefixes ?? []
  reply.map(3)
  reply.text('flags')
  reply.set(flags.length)
  for (const flag of flags) reply.text(flag)
  reply.text('redirect')
  reply.integer(mode?.redirect ?? -1)
  reply.text('prefixes')
  reply.array(prefixes.length)
  for (const prefix of prefixes) reply.name(prefix)
}

function* flagsOf(mode: Tracking): Generator<string> {
  if (mode.bcast) yield 'bcast'
  if (mode.optin) yield 'optin'
  if (mode.optin && mode.caching) yield 'caching-yes'
  if (mode.optout) yield 'optout'
  if (mode.optout && mode.caching) yield 'caching-no'
  if (mode.noloop) yield 'noloop'
  if (mode.redirectBroken) yield 'broken_redirect'
}
