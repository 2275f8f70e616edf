/** The hash slot of a key: CRC16 (XMODEM) of the key, or of its hash tag, modulo 16384. */
import type { Slot } from './brand.ts'

const TABLE = new Uint16Array(256).map((_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc & 0xffff
})

/** CRC16 XMODEM: polynomial 0x1021, initial value 0; "123456789" gives 0x31c3. */
export function crc16(bytes: Uint8Array, start: number, end: number): number {
  let crc = 0
  for (let i = start; i < end; i++) crc = (TABLE[((crc >> 8) ^ bytes[i]!) & 0xff]! ^ (crc << 8)) & 0xffff
  return crc
}

const OPEN = 0x7b
const CLOSE = 0x7d

/** The slot of the key at bytes[start, end). Only what stands between the first `{` and the first `}` after it
 *  is hashed, unless that is empty: then the whole key counts ("foo{}{bar}"). Specification: "Hash tags". */
export function slotOfRange(bytes: Uint8Array, start: number, end: number): Slot {
  for (let i = start; i < end; i++) {
    if (bytes[i] !== OPEN) continue
    for (let j = i + 1; j < end; j++) {
      if (bytes[j] !== CLOSE) continue
      return ((j === i + 1 ? crc16(bytes, start, end) : crc16(bytes, i + 1, j)) & 0x3fff) as Slot
    }
    break
  }
  return (crc16(bytes, start, end) & 0x3fff) as Slot
}

/** The slot of a whole key. */
export function slotOf(key: Uint8Array): Slot {
  return slotOfRange(key, 0, key.length)
}
