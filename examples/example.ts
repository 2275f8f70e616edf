/** The tutorial's example.rb: sets foo1 to 1, foo2 to 2, and so on, remembering in the cluster itself how far it got. Trouble is
 *  printed and outlived: stop it, start it again, kill nodes and move slots while it runs.
 *
 *      node dist/examples/example.js [host port] [--no-sleep]
 *
 *  `--no-sleep` writes as fast as replies come and tells on Ctrl-C how fast that was. */
import { openCluster, sleep } from './cluster.ts'

const LAST = '__last__'
const END = 1_000_000_000

const isFast = process.argv.includes('--no-sleep')
const cluster = openCluster(
  process.argv.slice(2).filter((word) => word !== '--no-sleep'),
  printError,
)
const startedAt = performance.now()
let operations = 0

if (isFast)
  process.once('SIGINT', () => {
    const seconds = (performance.now() - startedAt) / 1000
    print(`${operations} operations, ${Math.round(operations / seconds)} a second`)
    process.exit()
  })

for (let x = (await readLast()) + 1; x <= END; x++) {
  try {
    await cluster.set(`foo${x}`, x)
    print(String(await cluster.get(`foo${x}`)))
    await cluster.set(LAST, x)
    operations += 3
  } catch (error) {
    printError(error)
  }
  if (!isFast) await sleep(100)
}

/** Where an earlier run stopped; asked again and again, even while the cluster is down. */
async function readLast(): Promise<number> {
  for (;;) {
    try {
      return Number((await cluster.get(LAST)) ?? 0)
    } catch (error) {
      printError(error)
      await sleep(1000)
    }
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function printError(error: unknown): void {
  print(`error ${error instanceof Error ? error.message : error}`)
}
