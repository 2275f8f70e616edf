/** Every command by its own grammar: random pipelines to redis-server and to ours, the replies and the data left behind compared.
 *  `npm run fuzz` sends a million; ROOKERY_FUZZ_COMMANDS says another number. */
import fc from 'fast-check'
import { Differential } from '../support/differential.ts'
import { entries, PIPELINE, somePipeline } from '../support/pipelines.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

const isLong = process.env['npm_lifecycle_event'] === 'fuzz'
const COMMANDS = Number(process.env['ROOKERY_FUZZ_COMMANDS'] ?? (isLong ? 1_000_000 : 100_000))

describeBeside(`${entries.length} commands by their own grammar`, function () {
  this.timeout(Math.max(120_000, COMMANDS))
  let both: Differential
  before(async () => {
    both = await Differential.start()
  })
  after(stopEverything)

  it(`answer like redis-server 7.0, and leave the same data: ${COMMANDS} requests`, () =>
    fc.assert(
      fc.asyncProperty(somePipeline, fc.constantFrom<2 | 3>(2, 3), (all, protocol) =>
        both.compare([...all, ['DISCARD'], ['DEBUG', 'DIGEST'], ['DBSIZE']], protocol),
      ),
      { numRuns: Math.ceil(COMMANDS / PIPELINE) },
    ))

  it('tell replicas the same', () =>
    fc.assert(
      fc.asyncProperty(somePipeline, (all) => both.compareStreams([...all, ['DISCARD']])),
      { numRuns: Math.ceil(COMMANDS / PIPELINE / 10) },
    ))
})
