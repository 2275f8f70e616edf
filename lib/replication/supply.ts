/** One snapshot on its way to the replicas that asked for it: made a slice at a time while the data changes, at the pace of the slowest of
 *  them. What the stream adds from the snapshot's instant on is kept back for each until it has all of it. */
import { type Disk, slicesOf } from '../../store/disk.ts'
import { type SliceSource, writeSlices } from '../../store/rdb/file.ts'
import type { AttachedReplica } from './attached.ts'

/** The data set as it was at one instant, as an RDB file. */
export interface Snapshot extends SliceSource {
  /** Nobody wants the rest. */
  abandon(): void
}

export interface SupplyParts {
  readonly snapshot: Snapshot
  /** Where in the stream it was taken. */
  readonly replid: string
  readonly offset: number
  /** The snapshot ends with this; undefined: its length comes first. */
  readonly mark: string | undefined
  /** Where it lies until its length is known. */
  readonly disk: Disk
  readonly path: string
  readonly isAttached: (replica: AttachedReplica) => boolean
  /** Resolves when the event loop has been round. */
  readonly nextTurn: () => Promise<void>
}

/** A replica gets the next slice when no more than this waits for it in the process. */
const AHEAD = 1024 * 1024

export class Supply implements SliceSource {
  readonly #parts: SupplyParts
  #replicas: AttachedReplica[] = []
  #state: 'open' | 'sending' | 'over' = 'open'

  constructor(parts: SupplyParts) {
    this.#parts = parts
  }

  /** Those who are to get it and have not left. */
  get replicas(): readonly AttachedReplica[] {
    return this.#replicas.filter(this.#parts.isAttached)
  }

  /** Open: nothing of it was sent yet, and who comes now can share it. */
  get state(): 'open' | 'sending' | 'over' {
    return this.#state
  }

  /** Another replica that gets it, and the stream from its instant on. */
  join(replica: AttachedReplica): void {
    const { replid, offset } = this.#parts
    if (!replica.isOld) replica.send(line(`+FULLRESYNC ${replid} ${offset}`))
    replica.hold(this.#replicas[0])
    this.#replicas.push(replica)
  }

  /** Sends it. Rejects with what the disk says. */
  async run(): Promise<void> {
    try {
      await (this.#parts.mark === undefined ? this.#spool() : this.#stream(this.#parts.mark))
    } finally {
      this.#state = 'over'
      this.#parts.snapshot.abandon()
    }
  }

  // --- the source of what is written -------------------------------------------------------------------------------------

  get isDone(): boolean {
    return this.#parts.snapshot.isDone || this.replicas.length === 0
  }

  slice(): Buffer[] {
    return this.#parts.snapshot.slice()
  }

  // --- the two forms -------------------------------------------------------------------------------------------------------

  /** A replica that knows this form looks for the mark at the end of what it has received, so nothing may follow before it has found it
   *  and says so with an ACK. */
  async #stream(mark: string): Promise<void> {
    this.#begin(`$EOF:${mark}`)
    while (!this.isDone) {
      this.#send(this.slice())
      if (!this.isDone) await this.#room()
    }
    this.#send([Buffer.from(mark, 'latin1')])
    this.#state = 'over'
  }

  /** With the length first the stream can follow at once; but it is only known when the snapshot is whole. */
  async #spool(): Promise<void> {
    const { disk, path } = this.#parts
    try {
      const file = disk.open(path, 'create')
      let length: number
      try {
        length = await writeSlices(file, this)
      } finally {
        file.close()
      }
      this.#begin(`$${length}`)
      for await (const bytes of slicesOf(disk, path)) {
        this.#send([bytes])
        await this.#room()
        if (this.replicas.length === 0) return
      }
      for (const replica of this.replicas) replica.release()
    } finally {
      disk.remove(path)
    }
  }

  #begin(header: string): void {
    this.#state = 'sending'
    for (const replica of this.replicas) {
      replica.state = 'send_bulk'
      replica.send(line(header))
    }
  }

  #send(chunks: readonly Buffer[]): void {
    for (const replica of this.replicas) for (const chunk of chunks) replica.send(chunk)
  }

  /** Lets everything else go on, and waits for those who are slow to take what they have been sent. */
  async #room(): Promise<void> {
    await this.#parts.nextTurn()
    for (const replica of this.replicas) await replica.whenBelow(AHEAD)
  }
}

/** A line of a primary's. */
export const line = (text: string): Buffer => Buffer.from(`${text}\r\n`, 'latin1')
