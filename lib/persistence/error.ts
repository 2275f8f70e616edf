/** Why a data set cannot be read or written at the start. The message is for the person who starts the node: what is wrong, what was
 *  left as it is, what to do. */
export class PersistenceError extends Error {}
