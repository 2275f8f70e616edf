/** A client in a thread of its own that does nothing but PING: how long others wait while a server is busy with something large. */
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

export interface Waits {
  /** The longest wait since the last call, milliseconds, the one that is still going on included. */
  longest(): Promise<number>
  close(): Promise<unknown>
}

/** Begins to PING a server. */
export async function watchWaits(port: number): Promise<Waits> {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: port })
  await once(worker, 'message')
  return {
    async longest() {
      worker.postMessage('longest')
      return Number((await once(worker, 'message'))[0])
    },
    close: () => worker.terminate(),
  }
}

function ping(port: number): void {
  const socket = createConnection({ port, host: '127.0.0.1', noDelay: true })
  let sentAt = 0
  let longest = 0
  let asked = false
  const send = (): void => {
    sentAt = performance.now()
    socket.write('PING\r\n')
  }
  socket.once('connect', () => {
    parentPort!.postMessage('connected')
    send()
  })
  socket.on('data', () => {
    longest = Math.max(longest, performance.now() - sentAt)
    if (asked) {
      parentPort!.postMessage(longest)
      longest = 0
      asked = false
    }
    setTimeout(send, 1)
  })
  // Told with the next reply: the PING that waits is the one that matters.
  parentPort!.on('message', () => {
    asked = true
  })
}

if (!isMainThread) ping(workerData as number)
