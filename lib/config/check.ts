/** Why a well-formed value of one directive is refused nevertheless. Undefined means that it is fine. */
import type { Directive } from './directive.ts'

type Refusal = string | undefined

export const OOM_RANGE = 'Invalid oom-score-adj-values, elements must be between -2000 and 2000.'

/** A name in a folder, not a path. */
export const fileName =
  (directive: string, what: 'filename' | 'dirname') =>
  (name: string): Refusal =>
    /[/\\]/.test(name) ? `${directive} can't be a path, just a ${what}` : undefined

export const notEmpty = (directive: string, name: string): Refusal =>
  name === '' ? `${directive} can't be empty` : undefined

export const shutdownFlags = (text: string): Refusal => {
  const flags = text.split(' ')
  return flags.includes('save') && flags.includes('nosave')
    ? "shutdown options SAVE and NOSAVE can't be used simultaneously"
    : undefined
}

/** Every {variable} is known, and something is left when those are empty that may be. */
export const titleTemplate = (text: string): Refusal => {
  const left = text
    .replace(/\{(title|unixsocket|config-file)\}/g, '')
    .replace(/\{(listen-addr|server-mode|port|tls-port)\}/g, 'x')
  return left.trim() === '' || left.includes('{')
    ? 'template format is invalid or contains unknown variables'
    : undefined
}

/** Goes into nodes.conf and host names of replies. */
export const hostname = (text: string): Refusal => {
  if (text.length >= 256) return 'Hostnames must be less than 256 characters'
  return /^[a-zA-Z0-9.-]*$/.test(text)
    ? undefined
    : 'Hostnames may only contain alphanumeric characters, hyphens or dots'
}

/** Would end or split its column of nodes.conf: blanks, control characters, comma, quotes, and what Valkey forbids there. */
const BREAKS_COLUMN = /[\s"',=!#$%&()*+:;<>?@[\]^{|}~\\\x00-\x1f\x7f]/

export const humanNodename = (text: string): Refusal =>
  BREAKS_COLUMN.test(text) || Buffer.byteLength(text) >= 256
    ? 'Announced human node name contained invalid character'
    : undefined

/** Any text that a real server takes, but none that would damage nodes.conf or not fit into a message. */
export const announcedIp = (text: string): Refusal =>
  /[\s,@"']/.test(text) || Buffer.byteLength(text) >= 46 ? 'Announced IP is not an address' : undefined

const IPV4 = /^(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/

export const ipv4 = (text: string): Refusal => (text === '' || IPV4.test(text) ? undefined : 'Invalid IPv4 address')

export const ipv6 = (text: string): Refusal =>
  text === '' || (/^[0-9a-fA-F:.]{2,45}$/.test(text) && text.split(':').length > 2) ? undefined : 'Invalid IPv6 address'

/** Keeps the nearest number in [min, max] to the one given, without a word, as a real server does with hz. */
export function clamped(directive: Directive<number>, min: number, max = Number.POSITIVE_INFINITY): Directive<number> {
  return {
    ...directive,
    read(words, context) {
      const reading = directive.read(words, context)
      if (typeof reading === 'string') return reading
      const value = Math.min(Math.max(reading.value, min), max)
      return value === reading.value ? reading : { value, text: String(value) }
    },
  }
}
