/** What we say we are: the server version whose behaviour clients may count on. */

/** As HELLO and INFO print it. Clients choose features by it; the fields of newer servers they ask for are known. */
export const REDIS_VERSION = '7.2.4'
