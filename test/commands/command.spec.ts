/** COMMAND: the table as clients see it, row by row as redis-server 7.0.15 tells it. */
import assert from 'node:assert/strict'
import { FAMILIES } from '../../lib/commands/families.ts'
import { CommandTable } from '../../lib/commands/table.ts'
import { Beside } from '../support/beside-redis.ts'
import { ask } from '../support/client.ts'
import { InProcess } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import type { Value } from '../support/resp.ts'
import { describeBeside } from '../support/tools.ts'
import { isNewer } from './command-differences.ts'

const table = new CommandTable(FAMILIES)
/** Commands and subcommands by full name. Those that 7.0 does not have, or not with all their arguments, are left out. */
const known = [...table.entries.values()]
  .flatMap((entry) => [entry, ...(entry.subcommands?.values() ?? [])])
  .filter(({ command }) => !isNewer(command))
  .map(({ fullName }) => fullName)

type Row = readonly Value[]

/** Subcommands come in no order, and are compared by themselves. */
const withoutSubcommands = (row: Value): Value => (Array.isArray(row) ? row.slice(0, 9) : row)

/** A flat array of pairs. */
function pairs(value: Value): Map<string, Value> {
  const items = value as readonly Value[]
  return new Map(items.flatMap((name, i) => (i % 2 === 0 ? [[String(name), items[i + 1]!] as const] : [])))
}

/** Pairs of that name left out, however deep. */
function without(name: string, value: Value): Value {
  if (!Array.isArray(value)) return value
  const at = value.indexOf(name)
  const rest = at < 0 || at % 2 === 1 ? value : [...value.slice(0, at), ...value.slice(at + 2)]
  return rest.map((item) => without(name, item))
}

describeBeside('COMMAND', () => {
  let beside: Beside
  before(async () => {
    beside = await Beside.start()
  })
  after(stopEverything)

  it('has every command and subcommand of a real server', async () => {
    const theirs = (await ask(beside.redis.port, 'COMMAND', 'LIST')) as readonly string[]
    const ours = new Set(new InProcess().connect().call('COMMAND', 'LIST') as readonly string[])
    assert.deepEqual(
      theirs.filter((name) => !ours.has(name)),
      [],
    )
  })

  it('tells of every command what a real server tells', async () => {
    const theirs = (await ask(beside.redis.port, 'COMMAND', 'INFO', ...known)) as readonly Row[]
    const ours = new InProcess().connect().call('COMMAND', 'INFO', ...known) as readonly Row[]
    for (const [i, name] of known.entries())
      assert.deepEqual(withoutSubcommands(ours[i]!), withoutSubcommands(theirs[i]!), name)
  })

  it('documents every command as a real server does', async () => {
    const theirs = pairs(await ask(beside.redis.port, 'COMMAND', 'DOCS', ...known))
    const ours = pairs(new InProcess().connect().call('COMMAND', 'DOCS', ...known))
    const plain = (docs: Value): Value => without('subcommands', docs)
    for (const name of known) assert.deepEqual(plain(ours.get(name)!), plain(theirs.get(name)!), name)
  })

  it('has every row of the table documented', () => {
    const all = pairs(new InProcess().connect().call('COMMAND', 'DOCS'))
    assert.equal(all.size, table.entries.size)
    for (const docs of all.values())
      for (const field of ['summary', 'since', 'group']) assert.ok(pairs(docs).get(field))
  })

  it('uses sets and maps in RESP3', () =>
    beside.session(
      [
        'HELLO 3',
        'COMMAND INFO get nope',
        'COMMAND DOCS get',
        'COMMAND GETKEYSANDFLAGS set a 1',
        'COMMAND LIST FILTERBY PATTERN ge?',
      ],
      {
        mask: [[/^%7.*$/s, '<hello>']],
      },
    ))

  it('finds keys and what is done to them', () =>
    beside.session([
      'COMMAND GETKEYS nope a',
      'COMMAND GETKEYS get',
      'COMMAND GETKEYS get a b c',
      'COMMAND GETKEYS ping x',
      'COMMAND GETKEYS mset a 1 b 2',
      'COMMAND GETKEYS MSET a 1 b 2',
      'COMMAND GETKEYSANDFLAGS mset a 1 b 2',
      'COMMAND GETKEYSANDFLAGS set a 1',
      'COMMAND GETKEYSANDFLAGS set a 1 get',
      'COMMAND GETKEYSANDFLAGS copy a b',
      'COMMAND GETKEYS set a 1 nosuch',
      'COMMAND GETKEYS subscribe a',
      'COMMAND GETKEYS spublish a b',
      'COMMAND GETKEYSANDFLAGS spublish a b',
      'COMMAND GETKEYS config get a',
      'COMMAND GETKEYS memory usage k',
    ]))

  it('lists by category, pattern and module', async () => {
    for (const words of [
      'ACLCAT transaction',
      'ACLCAT CONNECTION',
      'ACLCAT nosuch',
      'MODULE x',
      'PATTERN ge?',
      'PATTERN CONFIG*',
    ]) {
      const argv = ['COMMAND', 'LIST', 'FILTERBY', ...words.split(' ')]
      const theirs = ((await ask(beside.redis.port, ...argv)) as readonly string[]).filter((name) =>
        known.includes(name),
      )
      const ours = (new InProcess().connect().call(...argv) as readonly string[]).filter((name) => known.includes(name))
      assert.deepEqual([...ours].sort(), theirs.sort(), words)
    }
  })

  it('refuses what it does not understand in the same words', () =>
    beside.session([
      'COMMAND FOO',
      'COMMAND COUNT x',
      'COMMAND LIST foo',
      'COMMAND LIST FILTERBY',
      'COMMAND LIST FILTERBY foo x',
      'COMMAND LIST FILTERBY constructor x',
      'COMMAND INFO nope',
      'COMMAND DOCS nope',
      'COMMAND HELP',
    ]))

  it('counts its commands', () => {
    const one = new InProcess().connect()
    assert.equal(one.call('COMMAND', 'COUNT'), table.entries.size)
    assert.equal((one.call('COMMAND') as Row).length, table.entries.size)
    assert.equal((one.call('COMMAND', 'INFO') as Row).length, table.entries.size)
  })
})
