/** PFSELFTEST: HyperLogLogs tried out in the server as it runs, on the machine it runs on. */
import { estimate, HyperLogLog, REGISTERS } from '../../store/types/hyperloglog.ts'

/** The greatest value a register takes: the hash has no more zeros. */
const MOST = 51
/** The standard error of an estimate, of its size. */
const ERROR = 1.04 / Math.sqrt(REGISTERS)
/** Errors that are hardly ever exceeded by chance; the elements are always the same. */
const SIGMAS = 6
const ELEMENTS = 100_000
/** hll-sparse-max-bytes, as it is unless it was changed: the sparse log becomes dense on the way. */
const SPARSE_BYTES = 3000

/** What is wrong; undefined when all is well. Takes some tenths of a second. */
export const selfTest = (): string | undefined => wrongRegister() ?? wrongEstimate()

/** Registers share bytes: none may change its neighbours. */
function wrongRegister(): string | undefined {
  const log = HyperLogLog.empty()
  log.makeDense()
  const expected = new Uint8Array(REGISTERS)
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < REGISTERS; i++) {
      const value = 1 + ((i * 31 + round * 17) % MOST)
      log.raise(i, value, 0)
      expected[i] = Math.max(expected[i]!, value)
    }
    const found = new Uint8Array(REGISTERS)
    log.mergeInto(found)
    const wrong = found.findIndex((value, i) => value !== expected[i])
    if (wrong >= 0) return `Register ${wrong} should be ${expected[wrong]} but is ${found[wrong]}`
  }
  return undefined
}

/** A log that begins sparse tells the same number as one that was always dense, and it is not far from the truth. */
function wrongEstimate(): string | undefined {
  const dense = HyperLogLog.empty()
  dense.makeDense()
  const sparse = HyperLogLog.empty()
  const element = Buffer.alloc(8)
  for (let count = 1, checkAt = 1; count <= ELEMENTS; count++) {
    element.writeDoubleLE(count)
    dense.add(element, 0)
    sparse.add(element, SPARSE_BYTES)
    if (count < checkAt) continue
    checkAt *= 10
    const [one, other] = [dense, sparse].map(estimated) as [number, number]
    if (one !== other) return `dense/sparse disagree: ${one} and ${other}`
    const limit = Math.ceil(ERROR * SIGMAS * count)
    if (Math.abs(one - count) > limit) return `Too big error. card:${count} abserr:${Math.abs(one - count)}`
  }
  return undefined
}

function estimated(log: HyperLogLog): number {
  const registers = new Uint8Array(REGISTERS)
  log.mergeInto(registers)
  return Number(estimate(registers))
}
