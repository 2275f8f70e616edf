/** Runs a benchmark of servers to its end, whatever happens: they do not keep this process alive, and none may outlive it. */
import { stopEverything } from '../../test/support/process.ts'

export async function run(benchmark: () => Promise<void>): Promise<void> {
  const alive = setInterval(() => {}, 1000)
  try {
    await benchmark()
  } finally {
    await stopEverything()
    clearInterval(alive)
  }
}
