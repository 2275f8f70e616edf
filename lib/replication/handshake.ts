/** How a replica introduces itself to its primary: requests and replies, a line each, until PSYNC is answered. */
import type { Log } from '../base/log.ts'
import { encodeRequest } from '../resp/argv.ts'
import type { ReplicationSettings } from './settings.ts'

/** From where we would go on: a history and the number of its next byte. */
export interface ResumePoint {
  readonly replid: string
  readonly next: number
}

export type HandshakeResult =
  /** A snapshot follows, which brings us to `offset` of the history `replid`. */
  | { readonly type: 'full'; readonly replid: string; readonly offset: number }
  /** The bytes we miss follow. Without an id it is still the one we asked for. */
  | { readonly type: 'continue'; readonly replid: string | undefined }
  /** It cannot or will not serve us now. */
  | { readonly type: 'refused'; readonly why: string; readonly at: 'introduction' | 'psync' }

interface Step {
  readonly request: readonly string[]
  /** Why this reply ends the handshake; undefined: go on. */
  readonly refuses: (reply: string) => string | undefined
}

export class Handshake {
  readonly #send: (bytes: Buffer) => void
  readonly #resumeAt: ResumePoint | undefined
  readonly #asksToLead: boolean
  /** Steps whose replies are still to come; they arrive in order. */
  #waiting: Step[]
  /** Sent together once PING was answered. */
  #introduction: Step[] | undefined

  /** Begins at once. `resumeAt` undefined: nothing to resume from. `asksToLead`: our primary is still a replica, of ours, and is to be
   *  the primary from now on. */
  constructor(options: {
    settings: ReplicationSettings
    resumeAt: ResumePoint | undefined
    asksToLead: boolean
    log: Log
    send: (bytes: Buffer) => void
  }) {
    this.#send = options.send
    this.#resumeAt = options.resumeAt
    this.#asksToLead = options.asksToLead
    this.#introduction = introduction(options.settings, options.log)
    this.#waiting = [PING]
    this.#ask([PING])
  }

  /** Takes a reply line; gives the outcome once it is known. */
  line(reply: string): HandshakeResult | undefined {
    const step = this.#waiting.shift()
    if (step === undefined) return psyncResult(reply)
    const why = step.refuses(reply)
    if (why !== undefined) return { type: 'refused', why, at: 'introduction' }
    if (this.#waiting.length > 0) return undefined
    const next = this.#introduction
    this.#introduction = undefined
    if (next === undefined) {
      const { replid, next } = this.#resumeAt ?? { replid: '?', next: -1 }
      this.#send(encodeRequest(['PSYNC', replid, String(next), ...(this.#asksToLead ? ['FAILOVER'] : [])]))
    } else {
      this.#waiting = [...next]
      this.#ask(next)
    }
    return undefined
  }

  #ask(steps: readonly Step[]): void {
    this.#send(Buffer.concat(steps.map((step) => encodeRequest(step.request))))
  }
}

/** A primary that wants a password may refuse even PING: that will show at AUTH. */
const PING: Step = {
  request: ['PING'],
  refuses: (reply) =>
    /^(\+|-NOAUTH|-NOPERM|-ERR operation not permitted)/.test(reply)
      ? undefined
      : `Error reply to PING from master: '${reply}'`,
}

/** A Valkey's version: one of 9 sends hashes whose fields have deadlines only to replicas that are as new. Redis does not ask, and refuses to
 *  be told. */
const AS_NEW_AS = '9.0.0'

function introduction(settings: ReplicationSettings, log: Log): Step[] {
  const { masterauth, masteruser, replicaAnnounceIp, replicaAnnouncePort, tlsReplication, tlsPort, port } = settings
  const tolerant = (request: readonly string[]): Step => ({
    request,
    refuses(reply) {
      if (reply.startsWith('-'))
        log.notice(`(Non critical) Master does not understand ${request[0]} ${request[1]}: ${reply}`)
      return undefined
    },
  })
  const steps: Step[] = []
  if (masterauth !== '')
    steps.push({
      request: masteruser === '' ? ['AUTH', masterauth] : ['AUTH', masteruser, masterauth],
      refuses: (reply) => (reply.startsWith('-') ? `Unable to AUTH to MASTER: ${reply}` : undefined),
    })
  const announced = replicaAnnouncePort || (tlsReplication && tlsPort) || port
  steps.push(tolerant(['REPLCONF', 'listening-port', String(announced)]))
  if (replicaAnnounceIp !== '') steps.push(tolerant(['REPLCONF', 'ip-address', replicaAnnounceIp]))
  steps.push(tolerant(['REPLCONF', 'capa', 'eof', 'capa', 'psync2']))
  steps.push({ request: ['REPLCONF', 'version', AS_NEW_AS], refuses: () => undefined })
  return steps
}

function psyncResult(reply: string): HandshakeResult {
  const [, replid, offset] = /^\+FULLRESYNC ([0-9a-zA-Z]{40}) (\d{1,15})$/.exec(reply) ?? []
  if (replid !== undefined) return { type: 'full', replid, offset: Number(offset) }
  const resumed = /^\+CONTINUE(?: ([0-9a-zA-Z]{40}))?$/.exec(reply)
  if (resumed !== null) return { type: 'continue', replid: resumed[1] }
  if (/^-(NOMASTERLINK|LOADING)/.test(reply))
    return refused(`Master is currently unable to PSYNC but should be in the future: ${reply}`)
  return refused(`Unexpected reply to PSYNC from master: ${reply}`)
}

const refused = (why: string): HandshakeResult => ({ type: 'refused', why, at: 'psync' })
