/** The part of the JavaScript heap that new objects come from. */
import { setFlagsFromString } from 'node:v8'

/** Keeps it as small as it is, for the whole process. It would grow until it takes 32 MB of resident memory, for objects that live no
 *  longer than a command; `npm run bench:memory` shows the difference, and no command is slower for it. */
export const keepYoungHeapSmall = (): void => setFlagsFromString('--semi-space-growth-factor=1')
