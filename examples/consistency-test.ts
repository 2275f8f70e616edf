/** The tutorial's consistency-test.rb: increments counters, remembers what was acknowledged, and reads a counter before each write to
 *  see whether the cluster still knows. A line each second tells how many reads and writes were made and failed, how many
 *  acknowledged writes are gone ("lost"), and how many happened without an acknowledgement ("noack").
 *
 *      node dist/examples/consistency-test.js [host port]
 *
 *  The counters are key_0 to key_9999. Set one to 0 by hand and see it reported. Two of these at a time see each other's writes. */
import { openCluster } from './cluster.ts'

const KEYSPACE = 10_000
/** Half of all writes go to so many keys, so that a counter is soon met again. */
const WORKING_SET = 1000

const cluster = openCluster(process.argv.slice(2), (error) => printError('Cluster', error))
const remembered = new Map<string, number>()
const reads = { done: 0, failed: 0 }
const writes = { done: 0, failed: 0 }
let lost = 0
let noack = 0
/** When each message was printed last. A cluster that is down fails many times a second in the same words: once is enough. */
const printedAt = new Map<string, number>()

for (let reportedAt = thisSecond(); ; ) {
  const key = randomKey()
  try {
    compare(key, Number((await cluster.get(key)) ?? 0))
    reads.done++
  } catch (error) {
    printError('Reading', error)
    reads.failed++
  }
  try {
    remembered.set(key, await cluster.incr(key))
    writes.done++
  } catch (error) {
    printError('Writing', error)
    writes.failed++
  }
  if (thisSecond() === reportedAt) continue
  reportedAt = thisSecond()
  print(report())
}

function randomKey(): string {
  const among = Math.random() < 0.5 ? KEYSPACE : WORKING_SET
  return `key_${Math.floor(Math.random() * among)}`
}

/** A counter we have not written before proves nothing; a difference counts once. */
function compare(key: string, value: number): void {
  const expected = remembered.get(key)
  if (expected === undefined) return
  if (value < expected) lost += expected - value
  else noack += value - expected
  remembered.set(key, value)
}

function report(): string {
  const counts = `${reads.done} R (${reads.failed} err) | ${writes.done} W (${writes.failed} err) | `
  return `${counts}${lost > 0 ? `${lost} lost | ` : ''}${noack > 0 ? `${noack} noack | ` : ''}`
}

function printError(what: string, error: unknown): void {
  const line = `${what}: ${error instanceof Error ? error.message : error}`
  if (printedAt.get(line) !== thisSecond()) print(line)
  printedAt.set(line, thisSecond())
}

function thisSecond(): number {
  return Math.floor(Date.now() / 1000)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
