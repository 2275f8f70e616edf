/** What the keyspace costs inside the process: nanoseconds for each operation, bytes for each key, and the longest single operation
 *  while it grows, in which a table that had to be rehashed or copied at once would show:
 *
 *      node --expose-gc dist/bench/store.bench.js [--keys 1000000] [--grow 5000000] */
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { Key } from '../lib/base/key.ts'
import { seededRandom } from '../lib/base/random.ts'
import { type Database, Keyspace } from '../store/keyspace.ts'

const { values: options } = parseArgs({
  options: { keys: { type: 'string', default: '1000000' }, grow: { type: 'string', default: '5000000' } },
})
const KEYS = Number(options.keys)
const GROW = Number(options.grow)
const KEY_LENGTH = 16
const VALUE_LENGTH = 64
const ROUND = 300_000

/** Requests as a read buffer holds them: a key and a value. */
const request = Buffer.alloc(KEY_LENGTH + VALUE_LENGTH, `key:000000000000${'v'.repeat(VALUE_LENGTH)}`)
const key = new Key(request, 0, KEY_LENGTH)
const out = Buffer.alloc(VALUE_LENGTH)
const random = seededRandom(1)

function point(n: number): Key {
  let rest = n
  for (let i = KEY_LENGTH - 1; i >= 4; i--) {
    const tenth = Math.floor(rest / 10)
    request[i] = 0x30 + (rest - tenth * 10)
    rest = tenth
  }
  return key.set(request, 0, KEY_LENGTH)
}

const set = (db: Database, n: number): void => db.writeBytes(point(n), request, KEY_LENGTH, request.length, 0)

function get(db: Database, n: number): void {
  const view = db.view(point(n))!
  for (let i = view.start, j = 0; i < view.end; i++, j++) out[j] = view.bytes[i]!
}

/** Nanoseconds of one operation on a key drawn at random, the drawing left out. */
function measure(act: (n: number) => void): number {
  return timed(act) - timed((n) => void point(n))
}

/** The best of several rounds: the others were disturbed. */
function timed(act: (n: number) => void): number {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 8; round++) {
    const startedAt = performance.now()
    for (let i = 0; i < ROUND; i++) act(random.below(KEYS))
    best = Math.min(best, performance.now() - startedAt)
  }
  return (best * 1e6) / ROUND
}

function bytesInUse(): number {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const table = new Table({ head: ['', 'value'], style: { head: [], border: [] } })
const row = (name: string, value: number, unit: string): void => void table.push([name, `${value.toFixed(1)} ${unit}`])

{
  const before = bytesInUse()
  const db = new Keyspace({ databases: 1 }).databases[0]!
  const startedAt = performance.now()
  for (let n = 0; n < KEYS; n++) set(db, n)
  row(`SET of ${KEYS} new keys`, ((performance.now() - startedAt) * 1e6) / KEYS, 'ns')
  row('memory beyond key and value', (bytesInUse() - before) / KEYS - KEY_LENGTH - VALUE_LENGTH, 'B a key')
  row('of it blocks in use', db.memory.used / KEYS - KEY_LENGTH - VALUE_LENGTH, 'B a key')
  const act = {
    'GET at random': (n) => get(db, n),
    'SET at random': (n) => set(db, n),
    'read as a Value': (n) => void db.read(point(n)),
    'remove and SET again'(n) {
      db.remove(point(n))
      set(db, n)
    },
  } satisfies Record<string, (n: number) => void>
  for (const [name, one] of Object.entries(act)) row(name, measure(one), 'ns')
}

/** The longest operations of growing to so many keys, in milliseconds, longest first. It is done several times over, and of each
 *  operation the shortest time counts: what the machine or the garbage collector did meanwhile falls on another one each time. */
function longest(prefix: string): Float64Array {
  const shortest = new Float64Array(GROW).fill(Number.POSITIVE_INFINITY)
  request.write(prefix)
  for (let round = 0; round < 3; round++) {
    const db = new Keyspace({ databases: 1 }).databases[0]!
    globalThis.gc?.()
    for (let n = 0; n < GROW; n++) {
      const startedAt = performance.now()
      set(db, n)
      const took = performance.now() - startedAt
      if (took < shortest[n]!) shortest[n] = took
    }
  }
  return shortest.sort().reverse()
}

for (const [name, prefix] of [
  ['all slots', 'key:'],
  ['one slot', '{a}:'],
] as const) {
  const [first, , , , , , , , , tenth] = longest(prefix)
  row(`growing to ${GROW} keys in ${name}: longest SET`, first! * 1000, 'µs')
  row('tenth longest', tenth! * 1000, 'µs')
}

process.stdout.write(`${table.toString()}\n`)
