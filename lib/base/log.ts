/** The server's log, in Redis's own format, so that tools that grep it keep working:
 *  `1234:M 21 Nov 2026 10:00:00.123 * Ready to accept connections`. */
import { appendFileSync } from 'node:fs'
import type { Millis } from './brand.ts'

export const LOG_LEVELS = ['debug', 'verbose', 'notice', 'warning'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export interface Log {
  level: LogLevel
  /** The letter after the pid: M primary, S replica, C child, X sentinel. */
  role: 'M' | 'S' | 'C' | 'X'
  debug(text: string): void
  verbose(text: string): void
  notice(text: string): void
  warning(text: string): void
  at(level: LogLevel, text: string): void
}

const MARKS: Record<LogLevel, string> = { debug: '.', verbose: '-', notice: '*', warning: '#' }
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** One log line without its end, in local time. */
export function logLine(pid: number, role: string, now: Millis, level: LogLevel, text: string): string {
  const d = new Date(now)
  const two = (n: number): string => String(n).padStart(2, '0')
  const date = `${two(d.getDate())} ${MONTHS[d.getMonth()]} ${d.getFullYear()}`
  const time = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${String(d.getMilliseconds()).padStart(3, '0')}`
  return `${pid}:${role} ${date} ${time} ${MARKS[level]} ${text}`
}

/** A log that hands finished lines to `sink`; lines below `level` are dropped. */
export function createLog(options: {
  level?: LogLevel
  pid: number
  now: () => Millis
  sink: (line: string) => void
}): Log {
  const log: Log = {
    level: options.level ?? 'notice',
    role: 'M',
    debug: (text) => log.at('debug', text),
    verbose: (text) => log.at('verbose', text),
    notice: (text) => log.at('notice', text),
    warning: (text) => log.at('warning', text),
    at(level, text) {
      if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(log.level)) return
      options.sink(logLine(options.pid, log.role, options.now(), level, text))
    },
  }
  return log
}

/** Where lines go: a file that is opened for each line, so that it may be rotated away, or standard output for ''. */
export function logSink(file: string): (line: string) => void {
  if (file === '') return (line) => void process.stdout.write(`${line}\n`)
  return (line) => appendFileSync(file, `${line}\n`)
}
