/** How a page of the table lies in the arena: a short list of hashes, and of the addresses of the entries with these hashes. */

/** A page: these words, then a hash for each entry there is room for, then an address for each. */
export const COUNT = 0
/** Room (entries) << ROOM_SHIFT | depth: how many bits all its hashes have in common. */
export const SHAPE = 1
export const ROOM_SHIFT = 8
export const DEPTH_MASK = (1 << ROOM_SHIFT) - 1
/** Its place in the list of all pages. */
export const PLACE = 2
/** The latest of its entries' stamps, or later. */
export const STAMP = 3
export const HEAD = 4

/** A page that is full splits from this size on; below it, it is made larger by a step. */
export const FULL = 16
export const STEP = 4
/** Two halves become one page again when they have no more than this together. */
export const MERGED = 8

export const pageBytes = (room: number): number => (HEAD + 2 * room) * 4

/** Room for so many entries: a multiple of the step, and never none. */
export const roomFor = (count: number): number => Math.max(STEP, (count + STEP - 1) & -STEP)
