/** A hash over everything that happened: two runs of one seed must agree on it, byte for byte. */
import type { Effect } from '../effect.ts'
import type { Event } from '../event.ts'

export interface Trace {
  step(now: number, node: number, event: Event, effects: readonly Effect[]): void
  bytes(bytes: Uint8Array): void
  /** 16 hexadecimal characters. */
  hash(): string
}

export function createTrace(): Trace {
  let a = 0x811c9dc5
  let b = 0x01000193
  const mix = (value: number): void => {
    a = Math.imul(a ^ value, 0x01000193)
    b = Math.imul((b ^ value) + (a >>> 13), 0x5bd1e995)
  }
  return {
    step(now, node, event, effects) {
      mix(Math.floor(now * 1000) | 0)
      mix((node << 16) | (event.type.length << 8) | effects.length)
      for (const effect of effects) mix(effect.type === 'send' ? effect.links.length : effect.type.length)
    },
    bytes(bytes) {
      for (const byte of bytes) mix(byte)
    },
    hash: () => hex(a) + hex(b),
  }
}

const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, '0')
