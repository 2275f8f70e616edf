/** The verbs of the `rookery` executable, but for `server`, whose command line is Redis's own. What a verb needs is loaded when it is
 *  given. */
import { Command, InvalidArgumentError } from 'commander'
import type { SimOptions } from './sim.ts'
import type { UpOptions } from './up.ts'
import { VERSION } from './version.ts'

/** Runs one command line (without node and script) to its end. Sets the exit code. */
export async function runVerb(args: readonly string[]): Promise<void> {
  await program().parseAsync(args, { from: 'user' })
}

function program(): Command {
  const rookery = new Command('rookery')
    .description('A Redis Cluster node in TypeScript.')
    .version(VERSION)
    .configureHelp({ sortSubcommands: true })
    .showHelpAfterError()
  rookery
    .command('server')
    .description('run one node: rookery server [redis.conf] [--directive value ...], as redis-server is run')
    .usage('[redis.conf] [--directive value ...]')
  rookery
    .command('up')
    .description('run a whole cluster on this machine until Ctrl-C')
    .option('--port <port>', 'client port of the first node; the others follow', port, 7000)
    .option('--primaries <n>', 'number of primaries', count(1), 3)
    .option('--replicas <n>', 'replicas of each primary', count(0), 1)
    .option('--dir <folder>', 'where the nodes keep their data', '.rookery')
    .option('--node-timeout <ms>', 'cluster-node-timeout', count(1), 5000)
    .action(async (options: UpOptions) => {
      const { up } = await import('./up.ts')
      await up(options)
    })
  rookery
    .command('sim')
    .description('run whole clusters in virtual time: one seed as a story, or many as fast as can be')
    .option('--seed <n>', 'the seed to tell', count(0), 1)
    .option('--only <numbers>', 'of its faults these only, by number: 0,3,4')
    .option('--timeline', 'tell what happened even if all went well')
    .option('--seeds <n>', 'run so many seeds and count violations', count(1))
    .option('--from <n>', 'the first of them', count(0), 1)
    .option('--jobs <n>', 'threads to run them in', count(1))
    .option('--nodes <n>', 'nodes of each cluster (drawn from the seed if left out)', count(2))
    .option('--minutes <n>', 'how long things go wrong (drawn from the seed if left out)', count(1))
    .action(async (options: SimOptions) => {
      const { sim } = await import('./sim.ts')
      await sim(options)
    })
  return rookery
}

function port(text: string): number {
  const value = count(1)(text)
  if (value > 55535) throw new InvalidArgumentError('a port must be at most 55535: its bus port is 10000 higher.')
  return value
}

const count =
  (least: number) =>
  (text: string): number => {
    const value = Number(text)
    if (!Number.isInteger(value) || value < least) throw new InvalidArgumentError(`a whole number from ${least} on.`)
    return value
  }
