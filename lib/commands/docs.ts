/** The argument docs that many commands share. */
import type { ArgumentDoc } from './define.ts'

export const KEY: ArgumentDoc = { name: 'key', type: 'key', keySpec: 0 }
export const KEYS: ArgumentDoc = { ...KEY, multiple: true }
export const VALUE: ArgumentDoc = { name: 'value', type: 'string' }

/** An option without a value; `since` when the command is older. */
export const option = (token: string, since?: string): ArgumentDoc => ({ ...word(token, since), optional: true })

/** One of several words. */
export const word = (token: string, since?: string): ArgumentDoc => ({
  name: token.toLowerCase(),
  type: 'pure-token',
  token,
  ...(since === undefined ? {} : { since }),
})

/** The options that give a deadline, and one that says something else of it. */
export const expiration = (other: string): ArgumentDoc => ({
  name: 'expiration',
  type: 'oneof',
  optional: true,
  arguments: [
    { name: 'seconds', type: 'integer', token: 'EX' },
    { name: 'milliseconds', type: 'integer', token: 'PX' },
    { name: 'unix-time-seconds', type: 'unix-time', token: 'EXAT' },
    { name: 'unix-time-milliseconds', type: 'unix-time', token: 'PXAT' },
    word(other),
  ],
})
