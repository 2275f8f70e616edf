/** Random tests draw the same cases in every run, so that a red run means a change and not a new find. To look for new finds:
 *  ROOKERY_SEED=random npm test (or any number). A failure prints its seed and path either way. */
import fc from 'fast-check'

const seed = process.env['ROOKERY_SEED'] ?? '2026'

if (seed !== 'random') fc.configureGlobal({ seed: Number(seed) })
