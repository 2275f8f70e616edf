/** Talking to a bus port without being a node: frames by hand, and what comes back. */
import { connect } from 'node:net'
import { FrameSplitter } from '../../bus/frame.ts'
import { MESSAGE_FLAGS, NODE_FLAGS, SLOT_BYTES } from '../../bus/layout.ts'
import type { Body, Header, Message } from '../../bus/message.ts'
import { epoch, nodeId, offset } from '../../lib/base/brand.ts'

export const STRANGER = nodeId('0123456789abcdef0123456789abcdef01234567')
/** The client port it announces. */
export const STRANGER_PORT = 7777

/** A message of a node nobody has met: a primary in epoch 0, which understands extensions. `fields` go before that. */
export function strangerSays(busPort: number, body: Body, fields: Partial<Header> = {}): Message {
  const header: Header = {
    sender: STRANGER,
    replicaOf: undefined,
    currentEpoch: epoch(0),
    configEpoch: epoch(0),
    offset: offset(0),
    slots: Buffer.alloc(SLOT_BYTES),
    ip: '',
    port: STRANGER_PORT,
    otherPort: 0,
    busPort,
    flags: NODE_FLAGS.myself | NODE_FLAGS.primary,
    state: 'fail',
    messageFlags: MESSAGE_FLAGS.extData,
    ...fields,
  }
  return { header, body }
}

/** Sends bytes to a bus port and returns the first whole frame of the answer. */
export async function exchange(busPort: number, bytes: Buffer): Promise<Buffer> {
  const socket = connect(busPort, '127.0.0.1')
  try {
    socket.write(bytes)
    const frames = new FrameSplitter()
    for await (const chunk of socket) {
      frames.feed(chunk)
      const frame = frames.next()
      if (Buffer.isBuffer(frame)) return frame
    }
    throw new Error(`${busPort} closed the link without an answer`)
  } finally {
    socket.destroy()
  }
}
