/** What a command costs inside the process, without sockets: nanoseconds of CPU, the garbage collector's included, from its bytes in a read buffer to those of its reply, for the
 *  commands redis-benchmark knows, on 100,000 keys in a cluster of one node. Far less noisy than `bench/throughput.ts`, so that a gain of a
 *  few percent shows:
 *
 *      node dist/bench/pipeline.js [--tests set,get --pipelines 1,16,100 --rounds 15 --stream]
 *
 *  With --stream the effects of the commands are kept, as for a replica or the append-only file. */
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { bindSlot } from '../bus/slots.ts'
import { type Cluster, createCluster, type LocalFacts } from '../bus/state.ts'
import { SLOT_COUNT } from '../lib/base/brand.ts'
import { wallClock } from '../lib/base/clock.ts'
import { seededRandom } from '../lib/base/random.ts'
import { clusterOptions } from '../lib/config.ts'
import { encodeRequest } from '../lib/resp/argv.ts'
import { InProcess } from '../test/support/inprocess.ts'

const { values: options } = parseArgs({
  options: {
    tests: { type: 'string', default: 'set,get,incr,lpush,rpop,sadd,hset,spop,zadd,mset' },
    pipelines: { type: 'string', default: '1,16,100' },
    rounds: { type: 'string', default: '15' },
    stream: { type: 'boolean', default: false },
  },
})

const REQUESTS = 100_000
const VALUE = 'x'.repeat(64)
const random = seededRandom(1)
const drawn = (): string => String(random.below(100_000)).padStart(12, '0')

/** Requests as redis-benchmark -r 100000 -d 64 sends them. */
const TESTS: Readonly<Record<string, () => string[]>> = {
  ping: () => ['PING'],
  set: () => ['SET', `key:${drawn()}`, VALUE],
  get: () => ['GET', `key:${drawn()}`],
  incr: () => ['INCR', `counter:${drawn()}`],
  lpush: () => ['LPUSH', 'mylist', VALUE],
  rpush: () => ['RPUSH', 'mylist', VALUE],
  lpop: () => ['LPOP', 'mylist'],
  rpop: () => ['RPOP', 'mylist'],
  lrange: () => ['LRANGE', 'mylist', '0', '99'],
  sadd: () => ['SADD', 'myset', `element:${drawn()}`],
  hset: () => ['HSET', 'myhash', `element:${drawn()}`, VALUE],
  spop: () => ['SPOP', 'myset'],
  zadd: () => ['ZADD', 'myzset', drawn(), `element:${drawn()}`],
  zpopmin: () => ['ZPOPMIN', 'myzset'],
  mset: () => ['MSET', ...Array.from({ length: 10 }, () => [`key:{tag}:${drawn()}`, VALUE]).flat()],
}

const RECEIVED = Buffer.allocUnsafeSlow(64 * 1024)
const inner = new InProcess({ 'cluster-enabled': 'yes' })
const { server } = inner
server.cluster = {
  view: lonelyCluster(),
  ask: () => undefined,
  persist() {},
  endTurn() {},
  replied() {},
  publish() {},
  links: () => [],
}
if (options.stream) server.replication.stream.open('f'.repeat(40))
const client = server.connect(
  { ...inner.connect().client.wire, write: () => true },
  { address: '127.0.0.1:1', localAddress: '127.0.0.1:2', tls: false },
)

/** A cluster of one node that owns every slot. */
function lonelyCluster(): Cluster {
  const now = wallClock()
  const cluster = createCluster({ options: clusterOptions(server.config, 0), facts: {} as LocalFacts, random, now })
  for (let slot = 0; slot < SLOT_COUNT; slot++) bindSlot(cluster, cluster.myself, slot)
  cluster.state = 'ok'
  return cluster
}

/** What so many reads of a socket would give: `pipeline` requests each. */
function batches(request: () => string[], pipeline: number): Buffer[] {
  const reads: Buffer[] = []
  for (let i = 0; i < REQUESTS / pipeline; i++)
    reads.push(Buffer.concat(Array.from({ length: pipeline }, () => encodeRequest(request()))))
  return reads
}

/** Nanoseconds for each request. */
function run(reads: readonly Buffer[]): number {
  const before = process.cpuUsage()
  for (const read of reads) {
    // A read longer than the buffer comes in several chunks, as from a socket.
    for (let at = 0; at < read.length; at += RECEIVED.length) {
      const length = read.copy(RECEIVED, 0, at)
      server.receive(client, RECEIVED.subarray(0, length))
      inner.settle()
    }
  }
  const { user, system } = process.cpuUsage(before)
  return ((user + system) * 1000) / REQUESTS
}

const table = new Table({
  head: ['command', 'pipeline', 'best ns', 'median ns'],
  style: { head: [], border: [] },
})
for (const test of options.tests.split(','))
  for (const pipeline of options.pipelines.split(',').map(Number)) {
    const reads = batches(TESTS[test]!, pipeline)
    run(reads)
    const times = Array.from({ length: Number(options.rounds) }, () => run(reads)).sort((a, b) => a - b)
    table.push([test, pipeline, times[0]!.toFixed(0), times[times.length >> 1]!.toFixed(0)])
  }
process.stdout.write(`${table.toString()}\n`)
