/** The part of the JavaScript heap that new objects come from. */
import { setFlagsFromString } from 'node:v8'

/** Keeps it as small as it is, for the whole process, and its collection on the main thread. It would grow until it takes 32 MB of
 *  resident memory, for objects that live no longer than a command; `npm run bench:memory` shows the difference, and no command is
 *  slower for it. And threads that help to collect it are waited for, on a busy machine until they get a core: under a load of 15
 *  to 20 on two cores the longest collections of three rounds of `npm run bench:pauses` were 9, 62 and 21 ms without them, 99, 79 and
 *  74 with them. */
export const keepYoungHeapSmall = (): void => {
  setFlagsFromString('--semi-space-growth-factor=1')
  setFlagsFromString('--no-parallel-scavenge')
}
