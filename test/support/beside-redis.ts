/** The same session with a redis-server and with a server of ours: every byte of the replies has to be the same. */
import assert from 'node:assert/strict'
import { ask, type Client, connect, outcome } from './client.ts'
import { InProcess, type Wired } from './inprocess.ts'
import { type Server, startServer } from './process.ts'
import { type Argument, decode, encode } from './resp.ts'

/** One step of a session: words of a command, on the connection named by the first ("b> GET x"), by default "a". */
export type Step = string | readonly Argument[]

export interface Session {
  /** What differs by nature is replaced in both replies before they are compared. */
  readonly mask?: readonly (readonly [pattern: RegExp, by: string])[]
  /** For ours. */
  readonly conf?: Readonly<Record<string, string>>
}

/** The redis-server sessions are compared with; started once for a spec file. */
export class Beside {
  readonly redis: Server

  constructor(redis: Server) {
    this.redis = redis
  }

  /** `conf`: directives set once it runs, so that it may ask for a password. */
  static async start(conf: Readonly<Record<string, string>> = {}): Promise<Beside> {
    const redis = await startServer({ kind: 'redis' })
    const pairs = Object.entries(conf).flat()
    if (pairs.length > 0) await ask(redis.port, 'CONFIG', 'SET', ...pairs)
    return new Beside(redis)
  }

  /** Plays the steps on both, from an empty data set on, and compares every connection's replies after each. */
  async session(steps: readonly Step[], { mask = [], conf = {} }: Session = {}): Promise<void> {
    const ours = new InProcess(conf)
    await outcome(this.redis.port, 'FLUSHALL')
    const pairs = new Map<string, { readonly ours: Wired; readonly theirs: Client }>()
    for (const step of steps) {
      const { on, argv } = parse(step)
      let pair = pairs.get(on)
      if (pair === undefined) {
        pair = { ours: ours.connect(), theirs: await connect(this.redis.port) }
        pairs.set(on, pair)
      }
      pair.theirs.send(encode(argv))
      const replies = new Map([[on, pair.ours.raw(encode(argv))]])
      for (const [name, { ours: other }] of pairs) if (name !== on) replies.set(name, other.taken())
      // A request that waits is not answered: what is asked after it makes sure that it has arrived.
      if (replies.get(on)?.length === 0) await ask(this.redis.port, 'PING')
      for (const [name, bytes] of replies) {
        const theirs = await receive(pairs.get(name)!.theirs, bytes)
        const show = (text: string): string => mask.reduce((shown, [pattern, by]) => shown.replace(pattern, by), text)
        assert.equal(
          show(bytes.toString('latin1')),
          show(theirs.toString('latin1')),
          `${argv.join(' ')} (reply to ${name})`,
        )
      }
    }
    for (const { theirs } of pairs.values()) theirs.close()
  }
}

const parse = (step: Step): { on: string; argv: readonly Argument[] } => {
  if (typeof step !== 'string') return { on: 'a', argv: step }
  const [, on = 'a', words = ''] = /^(?:(\w)> )?(.*)$/.exec(step) ?? []
  return { on, argv: words.split(' ').map((word) => (word === '""' ? '' : word)) }
}

/** As many replies as ours gave: their number is part of what is compared, for one too many shows in the next step. */
async function receive(client: Client, like: Buffer): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let at = 0; at < like.length; ) {
    const reply = decode(like, at)
    if (reply === undefined) break
    at = reply.end
    parts.push((await client.message(2000)).raw)
  }
  return Buffer.concat(parts)
}
