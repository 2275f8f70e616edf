/** Bad input for every command about data: each argument of a good request in turn becomes something odd, goes missing, or is followed
 *  by one too many. The reply, and what is left of the data, are redis-server's. */
import fc from 'fast-check'
import type { CommandEntry } from '../../lib/commands/table.ts'
import { isNewer } from '../commands/command-differences.ts'
import { Differential } from '../support/differential.ts'
import { requestOf } from '../support/grammar.ts'
import { GROUPS, isComparable, table } from '../support/pipelines.ts'
import { stopEverything } from '../support/process.ts'
import type { Request } from '../support/replies.ts'
import type { Argument } from '../support/resp.ts'
import { describeBeside } from '../support/tools.ts'

/** Not so large that it is a size somebody can allocate, nor so far below zero that somebody draws that many. */
const ODD: readonly Argument[] = [
  '',
  '-1',
  '0',
  '1.5',
  '+1',
  ' 1',
  '0x10',
  'x',
  'nan',
  'inf',
  '1e400',
  '4294967296',
  '9223372036854775807',
  '9223372036854775808',
  '-9223372036854775808',
  '18446744073709551616',
  // No zero byte: in some texts a real server ends there.
  Buffer.from([1, 13, 10, 255]),
  // Keys of every type, where a key was.
  's1',
  'l1',
  'h1',
  'set1',
  'z1',
  'x1',
]

const DATA: readonly Request[] = [
  ['SET', 's1', '10'],
  ['SET', 's2', 'hello'],
  ['RPUSH', 'l1', 'a', 'b', 'c'],
  ['RPUSH', 'l2', '1', '2'],
  ['HSET', 'h1', 'a', '1', 'field', 'x'],
  ['HSET', 'h2', 'b', '2'],
  ['SADD', 'set1', 'a', 'b', 'c'],
  ['SADD', 'ints', '1', '2', '3'],
  ['ZADD', 'z1', '1', 'a', '2', 'b', '3', 'c'],
  ['ZADD', 'z2', '-inf', 'a', '4', 'd'],
  ['GEOADD', 'geo1', '13', '38', 'a', '15', '37', 'b'],
  ['PFADD', 'hll1', 'a', 'b'],
  ['XADD', 'x1', '1-1', 'f', 'v'],
  ['XADD', 'x1', '5-1', 'f', 'v'],
  ['XGROUP', 'CREATE', 'x1', 'g', '0'],
]

/** Good requests of each command, of which bad ones are made. */
const SAMPLES = 4

/** Left out: what draws at random changes the data at random; the order of equal things, cursors, clocks, and bytes that are our own are compared
 *  in the specs; SORT of a real server remembers a number out of range; the rest needs other servers or takes long. */
const APART =
  /^(spop|.*lex|.*lexcount|scan|dump|memory.*|object\|(freq|idletime|refcount)|sort.*|migrate|wait|pf(debug|selftest))$/
/** What could wait does not in a transaction. */
const WAITS = /^(bl|br|bz|xread)/

/** Of the other families what answers by its input alone, and changes nothing that later requests would notice. */
const OTHERS =
  /^(acl\|(cat|deluser|dryrun|getuser|log|whoami|users)|command\|(getkeys|getkeysandflags)|config\|resetstat|latency\|(reset|history|latest)|slowlog\|reset|swapdb|flushdb|dbsize|echo|auth|client\|(getname|setname|unblock|no-evict|caching|getredir)|fcall|fcall_ro|eval|eval_ro|evalsha|evalsha_ro|script\|(exists|flush|load)|function\|(load|delete|flush|list|restore|dump)|publish|spublish|pubsub\|(channels|numpat|numsub|shardchannels|shardnumsub)|watch|unwatch|asking|readonly|readwrite|cluster\|.*|wait)$/

const entries = [...table.entries.values()]
  .flatMap((entry) => [...(entry.subcommands?.values() ?? [entry])])
  .filter(({ command, fullName }) => {
    return (
      (GROUPS.has(command.group) || OTHERS.test(fullName)) &&
      command.run !== undefined &&
      !APART.test(fullName) &&
      !isNewer(command)
    )
  })

/** The request with each of its arguments spoiled in each way; the first `words` are the command's name. */
function spoiled(request: Request, words: number): Request[] {
  const all: Request[] = [[...request, 'extra'], request.slice(0, words)]
  for (let i = words; i < request.length; i++) {
    all.push(request.toSpliced(i, 1))
    for (const odd of ODD) all.push(request.with(i, odd))
  }
  // "+", the last entry, is 7.4's.
  return all.filter((one) => isComparable(one) && !(one[0] === 'xread' && one.includes('+')))
}

function badRequests(entry: CommandEntry): Request[] {
  const good = fc.sample(requestOf(entry), { numRuns: SAMPLES, seed: 1 })
  const bad = good.flatMap((request) => spoiled(request, entry.fullName.split('|').length))
  return WAITS.test(entry.fullName) ? bad.flatMap((request) => [['MULTI'], request, ['EXEC']]) : bad
}

describeBeside('bad input', function () {
  this.timeout(60_000)
  let both: Differential
  before(async () => {
    both = await Differential.start()
  })
  after(stopEverything)

  for (const entry of entries)
    it(`${entry.fullName}: the error is redis-server's, and so are the data`, () =>
      both.compare([...DATA, ...badRequests(entry), ['DISCARD'], ['DEBUG', 'DIGEST'], ['DBSIZE']]))
})
