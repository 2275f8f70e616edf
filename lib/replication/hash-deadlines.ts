/** Deadlines of hash fields in the stream. Redis 7.0 has none, yet a history is one sequence of bytes for all who follow it. So they are
 *  told in a form that a real server reads and passes over: what follows the offset of REPLCONF ACK, which a replica does not heed. It
 *  keeps the fields, and like every replica it is told by HDEL when their time has come. */
import type { Argv } from '../resp/argv.ts'

const MARK = 'hash-deadlines'
/** Where the key stands; field and deadline follow in pairs. */
export const DEADLINES_KEY = 4

/** The command that sets deadlines of fields, in Unix milliseconds; 0 takes one away. */
export const deadlinesCommand = (key: Buffer, fields: readonly Buffer[], expireAt: number): (Buffer | string)[] => [
  'REPLCONF',
  'ACK',
  '0',
  MARK,
  key,
  ...fields.flatMap((field) => [field, String(expireAt)]),
]

/** Whether a REPLCONF is that command. */
export const setsDeadlines = (argv: Argv): boolean =>
  argv.count > DEADLINES_KEY && argv.word(1) === 'ack' && argv.word(3) === MARK
