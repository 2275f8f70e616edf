/** Clocks are set, by hand or by a daemon. Nobody may look dead for that, and who is dead may not look alive. */
import { ask, fields } from '../support/client.ts'
import { type Cluster, leads, startCluster } from '../support/cluster.ts'
import { stopEverything } from '../support/process.ts'

const PRELOAD = new URL('../support/set-clock.js', import.meta.url).href

describe('a clock that is set back by an hour', function () {
  this.timeout(60_000)
  let cluster: Cluster

  before(async () => {
    const before = process.env['NODE_OPTIONS']
    process.env['NODE_OPTIONS'] = `${before ?? ''} --import=${PRELOAD}`
    try {
      cluster = await startCluster({ kinds: ['rookery'], replicas: [1, 0, 0], nodeTimeoutMs: 1500 })
    } finally {
      if (before === undefined) delete process.env['NODE_OPTIONS']
      else process.env['NODE_OPTIONS'] = before
    }
  })
  after(stopEverything)

  it('on every node: a primary that dies then is replaced as ever', async () => {
    for (const { port } of cluster.nodes) {
      const { process_id } = await fields(port, 'INFO', 'server')
      process.kill(Number(process_id), 'SIGUSR2')
      await ask(port, 'PING')
    }
    await cluster.primaries[0]!.kill()
    await leads(cluster.replicas[0]![0]!)
  })
})
