/** What the JavaScript engine is told for the whole process. */
import { setFlagsFromString } from 'node:v8'

/** Keeps the part of the heap that new objects come from as small as it is, and its collection on the main thread. It would grow until it takes 32 MB of
 *  resident memory, for objects that live no longer than a command; `npm run bench:memory` shows the difference, and no command is
 *  slower for it. And threads that help to collect it are waited for, on a busy machine until they get a core: under a load of 15
 *  to 20 on two cores the longest collections of three rounds of `npm run bench:pauses` were 9, 62 and 21 ms without them, 99, 79 and
 *  74 with them. */
export const keepYoungHeapSmall = (): void => {
  setFlagsFromString('--semi-space-growth-factor=1')
  setFlagsFromString('--no-parallel-scavenge')
}

/** Functions are compiled to machine code after a third of the work that V8 waits for. What an operator does, and a failover, is a few
 *  hundred to a few thousand calls of each function, most of which were interpreted: the first thousand slots of
 *  `npm run bench:reshard` take a fifth less time. The commands of a busy server cost what they did. */
export const compileSooner = (): void => setFlagsFromString('--interrupt-budget=20000')
