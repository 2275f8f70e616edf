/** How an entry lies in the arena:
 *
 *      word 0    flags (8 bits), last access (24 bits: seconds, as Redis's LRU clock)
 *      word 1    length of the key
 *      word 2    length of the value, or where among the outside values it is
 *      word 3    stamp: the epoch of the last change
 *      words 4-6 only with a deadline: the deadline (low, high), place among the entries that have one
 *      then the bytes of the key, then those of a value that lies inside */

export const FLAGS = 0
export const KEY_LENGTH = 1
export const VALUE = 2
export const STAMP = 3
export const DEADLINE_LOW = 4
export const DEADLINE_HIGH = 5
export const DEADLINE_PLACE = 6

/** It has a deadline. */
export const EXPIRES = 1
/** The value lies outside: a collection that is not packed, or what is too large for the arena. */
export const OUTSIDE = 2
/** A string that was changed in place: OBJECT ENCODING says raw whatever its length. */
export const RAW = 4
/** What lies inside: 0 for a string, or a kind of packed collection (store/kind.ts). */
export const KIND_SHIFT = 3
export const KIND_MASK = 7 << KIND_SHIFT
/** The bytes of a string outside were handed out to somebody who may keep them: they must not be written over. */
export const SHARED = 64

export const FLAG_BITS = 8
export const FLAG_MASK = (1 << FLAG_BITS) - 1

const SHORT_HEAD = 16
const LONG_HEAD = 28

/** Where the key begins, in bytes from the beginning of the entry. */
export const keyOffset = (flags: number): number => ((flags & EXPIRES) === 0 ? SHORT_HEAD : LONG_HEAD)

/** Bytes of a whole entry; `valueLength` of a value that lies inside. */
export const entrySize = (flags: number, keyLength: number, valueLength: number): number =>
  keyOffset(flags) + keyLength + ((flags & OUTSIDE) === 0 ? valueLength : 0)
