/** What things weigh in memory: estimates in bytes, measured on V8 without pointer compression. They are kept while a value changes,
 *  so that the weight of a large collection is known without a walk. */

/** A Buffer and what it stands on, beside its bytes. */
export const BUFFER = 120
/** A text in an array, beside its characters. */
export const TEXT = 30
/** An object that chains buffers. */
export const LINK = 80
/** An entry of a stream that was delivered, with its id, and its places in two lists. */
export const PENDING = 120
