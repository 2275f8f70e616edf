/** The same random pipelines through a cluster of ours and one of redis-server: the same answers, the same redirections. */
import fc from 'fast-check'
import { slotOf } from '../../lib/base/slot.ts'
import { keyIndexes } from '../../lib/commands/keys.ts'
import { argvOf } from '../../lib/resp/argv.ts'
import { type Client, connect } from '../support/client.ts'
import { startCluster } from '../support/cluster.ts'
import { PIPELINE, somePipeline, table } from '../support/pipelines.ts'
import { type Kind, stopEverything } from '../support/process.ts'
import { checkReplies, type Request } from '../support/replies.ts'
import { encode } from '../support/resp.ts'
import { describeBeside } from '../support/tools.ts'

const COMMANDS = Number(process.env['ROOKERY_FUZZ_COMMANDS'] ?? 20_000)
const NODES = 3
/** Of ten requests one goes to a node that may not be the right one. */
const ASTRAY = 10

/** A connection to each primary, in slot order. */
class Side {
  readonly #clients: readonly Client[]
  readonly #ports: ReadonlyMap<string, number>

  private constructor(clients: readonly Client[]) {
    this.#clients = clients
    this.#ports = new Map(clients.map(({ port }, i) => [String(port), i]))
  }

  static async start(kind: Kind): Promise<Side> {
    const { primaries } = await startCluster({ kinds: [kind], primaries: NODES })
    const side = new Side(await Promise.all(primaries.map(({ port }) => connect(port))))
    await side.everywhere(['DEBUG', 'SET-ACTIVE-EXPIRE', 0])
    return side
  }

  everywhere(request: Request): Promise<Buffer[]> {
    return Promise.all(this.#clients.map((client) => client.raw(encode(request))))
  }

  /** Request i goes to node at[i]; nodes are told by their place in the replies. */
  async send(requests: readonly Request[], at: readonly number[]): Promise<Buffer[]> {
    const replies = await Promise.all(requests.map((request, i) => this.#clients[at[i]!]!.raw(encode(request))))
    return replies.map((reply) => this.#portless(reply))
  }

  #portless(reply: Buffer): Buffer {
    if (!/^-(MOVED|ASK) /.test(reply.toString('latin1', 0, 7))) return reply
    const text = reply.latin1Slice().replace(/:(\d+)(?=\r\n$)/, (_, port: string) => ` node ${this.#ports.get(port)}`)
    return Buffer.from(text, 'latin1')
  }
}

/** The node whose slots the first key is in. */
function ownerOf(request: Request): number | undefined {
  const argv = argvOf(request.map((word) => (Buffer.isBuffer(word) ? word : Buffer.from(String(word)))))
  const entry = table.find(argv)
  const indexes: number[] = []
  if (entry === undefined || keyIndexes(entry, argv, indexes) === 0) return undefined
  const key = argv.at(indexes[0]!)
  return Math.min(NODES - 1, Math.floor((slotOf(key) * NODES) / 16384))
}

describeBeside('a cluster of ours beside one of redis-server', function () {
  this.timeout(Math.max(120_000, COMMANDS))
  let ours: Side
  let theirs: Side
  before(async () => {
    ;[ours, theirs] = await Promise.all([Side.start('rookery'), Side.start('redis')])
  })
  after(stopEverything)

  it(`answers and redirects alike: ${COMMANDS} requests`, () => {
    const strays = fc.infiniteStream(fc.nat({ max: ASTRAY * NODES - 1 }))
    return fc.assert(
      fc.asyncProperty(somePipeline, strays, fc.constantFrom<2 | 3>(2, 3), async (all, stray, protocol) => {
        for (const request of [['RESET'], ['HELLO', protocol], ['FLUSHALL']])
          await Promise.all([ours.everywhere(request), theirs.everywhere(request)])
        const at = all.map((request) => {
          const drawn = stray.next().value
          return drawn < NODES ? drawn : (ownerOf(request) ?? drawn % NODES)
        })
        const [a, b] = await Promise.all([ours.send(all, at), theirs.send(all, at)])
        for (let node = 0; node < NODES; node++) {
          const here = <T>(list: readonly T[]): T[] => list.filter((_, i) => at[i] === node)
          checkReplies(here(all), here(a), here(b))
        }
        for (const request of [['DISCARD'], ['DEBUG', 'DIGEST'], ['DBSIZE']]) {
          const [x, y] = await Promise.all([ours.everywhere(request), theirs.everywhere(request)])
          for (let node = 0; node < NODES; node++) checkReplies([request], [x[node]!], [y[node]!])
        }
      }),
      { numRuns: Math.ceil(COMMANDS / PIPELINE) },
    )
  })
})
