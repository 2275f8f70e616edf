/** The hash slot of a key: CRC16 (XMODEM) of the key, or of its hash tag, modulo 16384. */
import type { Slot } from './brand.ts'

/** CRC16_TABLES[n][byte]: what the byte contributes when n more follow it, so that four can be looked up at once. */
const CRC16_TABLES: readonly Uint16Array[] = [0, 1, 2, 3].map((followers) =>
  new Uint16Array(256).map((_, byte) => {
    let crc = byte << 8
    for (let bit = 0; bit < 8 * (followers + 1); bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
    return crc & 0xffff
  }),
)
const [CRC0, CRC1, CRC2, CRC3] = CRC16_TABLES as readonly [Uint16Array, Uint16Array, Uint16Array, Uint16Array]

/** CRC16 XMODEM: polynomial 0x1021, initial value 0; "123456789" gives 0x31c3. */
export function crc16(bytes: Uint8Array, start: number, end: number): number {
  let crc = 0
  let i = start
  for (; i + 4 <= end; i += 4) crc = crc16OfFour(crc, bytes[i]!, bytes[i + 1]!, bytes[i + 2]!, bytes[i + 3]!)
  for (; i < end; i++) crc = crc16OfOne(crc, bytes[i]!)
  return crc
}

/** The CRC after one more byte. */
export const crc16OfOne = (crc: number, byte: number): number => (CRC0[(crc >> 8) ^ byte]! ^ (crc << 8)) & 0xffff

/** The CRC after four more bytes: their look-ups do not wait for one another. */
export const crc16OfFour = (crc: number, a: number, b: number, c: number, d: number): number =>
  CRC3[(crc >> 8) ^ a]! ^ CRC2[(crc & 0xff) ^ b]! ^ CRC1[c]! ^ CRC0[d]!

export const OPEN = 0x7b
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
