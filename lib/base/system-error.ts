/** What the operating system said, in strerror's words: what people know from other programs, and tools search for. */
import { getSystemErrorMap } from 'node:util'

/** "No such file or directory" for ENOENT; the message of anything that is no system error. */
export function reasonOf(failure: unknown): string {
  const { errno, message } = failure as NodeJS.ErrnoException
  const text = (errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1]) ?? message
  return text.charAt(0).toUpperCase() + text.slice(1)
}
