/** Commands about a million elements, ours beside redis-server: time, server CPU, what the resident set grew by at its peak, and how long
 *  another client waited meanwhile:
 *
 *      npm run bench:large [-- --count 1000000 --rounds 3 --only 'SORT|LRANGE']
 *
 *  Both servers have the same data; each request goes to the one and to the other in turn, A B A B, and the figures are
 *  medians. The first replies, and what the requests have left, are compared. Needs redis-server, and /proc for CPU and memory. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { fields } from '../test/support/client.ts'
import { type Kind, startServer } from '../test/support/process.ts'
import { encode } from '../test/support/resp.ts'
import { COLLECTIONS, type Question, questions, restoring } from './support/large-commands.ts'
import { fillLarge } from './support/large-data.ts'
import { median } from './support/median.ts'
import { run } from './support/run.ts'
import { connectTimed, digest, type Timed } from './support/timed.ts'
import { type Waits, watchWaits } from './support/waits.ts'

const { values: options } = parseArgs({
  options: {
    count: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
  },
})
const COUNT = Number(options.count)
const ONLY = new RegExp(options.only)

/** A server that is measured. */
interface Contender {
  readonly kind: Kind
  readonly pid: number
  readonly connections: Readonly<Record<Question['on'], Timed>>
  readonly waits: Waits
}

interface Sample {
  readonly ms: number
  readonly cpuMs: number
  /** Longest wait of another client. */
  readonly waitMs: number
}

async function contender(kind: Kind): Promise<Contender> {
  const server = await startServer({ kind })
  const { port } = server
  const pid = Number((await fields(port, 'INFO', 'server'))['process_id'])
  await fillLarge(port, COUNT)
  const [plain, resp3, keys] = [await connectTimed(port), await connectTimed(port), await connectTimed(port)]
  await resp3.reply(encode(['HELLO', 3]))
  await keys.reply(encode(['SELECT', 1]))
  return { kind, pid, connections: { plain, resp3, keys }, waits: await watchWaits(port) }
}

/** What all threads of a process have run so far, milliseconds; /proc/<pid>/stat counts in tens of them only. */
const cpuMs = (pid: number): number =>
  readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    const [nanoseconds] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ', 1)
    return sum + Number(nanoseconds) / 1e6
  }, 0)

/** A line of /proc/<pid>/status, megabytes. */
const memoryMb = (pid: number, name: 'VmRSS' | 'VmHWM'): number =>
  Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) / 1024

/** From here on VmHWM is the peak since now. */
const forgetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, '5')

async function prepare({ connections }: Contender, { on, before }: Question): Promise<void> {
  const connection = connections[on]
  await connection.reply(encode(['DEL', 'new']))
  for (const words of before) await connection.reply(encode(words))
}

/** What the first request of its kind did. */
interface First {
  /** What both servers must have in common. */
  readonly meaning: string
  /** Peak of the resident set above what it was before, megabytes. What is freed again is not always given back, so that only the
   *  first time tells. */
  readonly grownMb: number
}

async function askFirst(contender: Contender, question: Question): Promise<First> {
  const { pid, connections } = contender
  await prepare(contender, question)
  forgetPeak(pid)
  const before = memoryMb(pid, 'VmRSS')
  const connection = connections[question.on]
  if (question.walk !== undefined) {
    await timeOf(connection, question)
    return { meaning: '', grownMb: memoryMb(pid, 'VmHWM') - before }
  }
  const reply = digest(await connection.reply(question.ask), question.alike)
  const grownMb = memoryMb(pid, 'VmHWM') - before
  const proof = question.proof === undefined ? '' : String(await connection.reply(encode(question.proof)))
  return { meaning: `${reply} ${proof}`, grownMb }
}

async function sample(contender: Contender, question: Question): Promise<Sample> {
  const { pid, waits, connections } = contender
  await prepare(contender, question)
  await waits.longest()
  const before = cpuMs(pid)
  const ms = await timeOf(connections[question.on], question)
  return { ms, cpuMs: cpuMs(pid) - before, waitMs: await waits.longest() }
}

async function timeOf(connection: Timed, { ask, walk }: Question): Promise<number> {
  if (walk === undefined) return connection.time(ask)
  const begun = performance.now()
  let cursor = '0'
  do {
    const reply = await connection.reply(encode(walk.words.with(walk.cursorAt, cursor)))
    cursor = /^\*2\r\n\$\d+\r\n(\d+)/.exec(reply.latin1Slice(0, 64))![1]!
  } while (cursor !== '0')
  return performance.now() - begun
}

const middle = (samples: readonly Sample[], what: keyof Sample): number => median(samples.map((one) => one[what]))

const HEAD = ['ms', 'redis', 'ratio', 'CPU ms', 'redis', 'ratio', 'peak MB', 'redis', 'wait ms', 'redis']

/** A line as soon as it is known: all of them take minutes. */
const print = (name: string, cells: readonly string[], note: string): void =>
  void process.stdout.write(`${name.padEnd(72)}${cells.map((cell) => cell.padStart(9)).join('')}  ${note}\n`)

async function compare(ours: Contender, redis: Contender, mine: Question, theirs: Question = mine): Promise<void> {
  const first = [await askFirst(ours, mine), await askFirst(redis, theirs)] as const
  const samples: { readonly ours: Sample[]; readonly redis: Sample[] } = { ours: [], redis: [] }
  for (let round = 0; round < Number(options.rounds); round++) {
    samples.ours.push(await sample(ours, mine))
    samples.redis.push(await sample(redis, theirs))
  }
  const both = (what: keyof Sample, digits: number): string[] =>
    [samples.ours, samples.redis].map((of) => middle(of, what).toFixed(digits))
  const ratio = (what: keyof Sample): string => (middle(samples.ours, what) / middle(samples.redis, what)).toFixed(2)
  const cells = [
    ...both('ms', 1),
    ratio('ms'),
    ...both('cpuMs', 1),
    ratio('cpuMs'),
    ...first.map(({ grownMb }) => grownMb.toFixed(0)),
    ...both('waitMs', 0),
  ]
  const note = first[0].meaning === first[1].meaning ? '' : 'THE REPLIES DIFFER'
  print(mine.on === 'resp3' ? `${mine.name} (RESP3)` : mine.name, cells, note)
}

const dumpOf = async ({ connections }: Contender, key: string): Promise<Buffer> => {
  const reply = await connections.plain.reply(encode(['DUMP', key]))
  return reply.subarray(reply.indexOf('\r\n') + 2, -2)
}

await run(async () => {
  const [ours, redis] = [await contender('rookery'), await contender('redis')]
  print(`${COUNT} elements, median of ${options.rounds}`, HEAD, '')
  for (const question of questions(COUNT)) if (ONLY.test(question.name)) await compare(ours, redis, question)
  for (const key of COLLECTIONS)
    if (ONLY.test('RESTORE'))
      await compare(ours, redis, restoring(key, await dumpOf(ours, key)), restoring(key, await dumpOf(redis, key)))
  for (const { connections, waits } of [ours, redis]) {
    for (const connection of Object.values(connections)) connection.close()
    await waits.close()
  }
})
