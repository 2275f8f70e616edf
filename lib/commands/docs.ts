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
