/** Kinds of values that lie in the arena: strings, and packed collections, whose bytes lie there as those of a string do. The kind says
 *  what the bytes are; an object that reads and changes them where they lie is made when a command asks for one. */
import { HashValue } from './types/hash.ts'
import { Intset } from './types/intset.ts'
import { ListValue } from './types/list.ts'
import { Listpack } from './types/listpack.ts'
import { SetValue } from './types/set.ts'
import { ZSetValue } from './types/zset.ts'
import type { ValueType } from './value.ts'

/** A value that can be packed. */
export type Collection = ListValue | HashValue | SetValue | ZSetValue

/** A small number. */
export type Kind = number
export const STRING: Kind = 0
const LIST: Kind = 1
const HASH: Kind = 2
const ZSET: Kind = 3
const INTSET: Kind = 4
const SET: Kind = 5

const TYPES: readonly ValueType[] = ['string', 'list', 'hash', 'zset', 'set', 'set']

/** The type of values of a kind. */
export const typeOfKind = (kind: Kind): ValueType => TYPES[kind]!

/** The kind of a collection that is packed. */
export function kindOf(value: Collection): Kind {
  switch (value.type) {
    case 'list':
      return LIST
    case 'hash':
      return HASH
    case 'zset':
      return ZSET
    default:
      return value.encoding === 'intset' ? INTSET : SET
  }
}

/** A collection over the bytes that begin at `start` in memory of the store, where they may change and grow up to `limit`. */
export function borrow(kind: Kind, room: Buffer, start: number, limit: number): Collection {
  switch (kind) {
    case LIST:
      return new ListValue(Listpack.borrow(room, start, limit))
    case HASH:
      return new HashValue(Listpack.borrow(room, start, limit))
    case ZSET:
      return new ZSetValue(Listpack.borrow(room, start, limit))
    case INTSET:
      return new SetValue(Intset.borrow(room, start, limit))
    default:
      return new SetValue(Listpack.borrow(room, start, limit))
  }
}
