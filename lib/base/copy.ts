/** Copying few bytes, which is most of the work of a small reply. */

/** Up to this length `copyShort` is faster than a native copy. */
export const SHORT = 192

const LITTLE_ENDIAN = true

/** The view `dataOf` gave last. */
let latest: DataView = new DataView(new ArrayBuffer(0))

/** The memory behind `bytes`, in which several bytes can be read at once; positions are those in `bytes`. One is made only when
 *  the memory is another than the last time: as good as always it is the read buffer that all sockets share. */
export function dataOf(bytes: Uint8Array): DataView {
  if (bytes.buffer !== latest.buffer || bytes.byteOffset !== latest.byteOffset)
    latest = new DataView(bytes.buffer, bytes.byteOffset)
  return latest
}

/** Copies what lies in [start, end) of one memory to `at` in another, eight bytes a step. Measured for 64 bytes: 17 ns; a loop over the
 *  bytes of two Buffers takes 78, a native copy 45. */
export function copyShort(from: DataView, start: number, end: number, to: DataView, at: number): void {
  let i = start
  let j = at
  for (; i + 8 <= end; i += 8, j += 8) {
    to.setInt32(j, from.getInt32(i, LITTLE_ENDIAN), LITTLE_ENDIAN)
    to.setInt32(j + 4, from.getInt32(i + 4, LITTLE_ENDIAN), LITTLE_ENDIAN)
  }
  for (; i < end; i++, j++) to.setInt8(j, from.getInt8(i))
}

/** Whether `length` bytes from `start` on in one memory are those from `otherStart` on in another, four a step. */
export function equalsShort(
  data: DataView,
  start: number,
  other: DataView,
  otherStart: number,
  length: number,
): boolean {
  let i = 0
  for (; i + 4 <= length; i += 4)
    if (data.getInt32(start + i, LITTLE_ENDIAN) !== other.getInt32(otherStart + i, LITTLE_ENDIAN)) return false
  for (; i < length; i++) if (data.getInt8(start + i) !== other.getInt8(otherStart + i)) return false
  return true
}

/** From here on a native copy is worth the call. */
const LONG = 96

/** Copies bytes[start, end) to `at` in another Buffer. */
export function copy(from: Buffer, start: number, end: number, to: Buffer, at: number): void {
  if (end - start > LONG) {
    from.copy(to, at, start, end)
    return
  }
  for (let i = start, j = at; i < end; i++, j++) to[j] = from[i]!
}

/** A copy of bytes[start, end) that may be kept. */
export function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const own = Buffer.allocUnsafe(end - start)
  copy(bytes, start, end, own, 0)
  return own
}
