import { Beside } from '../support/beside-redis.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

describeBeside('R26: a server without cluster support', () => {
  after(stopEverything)

  it('says so to whoever asks for the cluster', async () => {
    const beside = await Beside.start()
    await beside.session([
      'CLUSTER INFO',
      'CLUSTER NODES',
      'CLUSTER MEET 127.0.0.1 7000',
      'CLUSTER HELP',
      'CLUSTER FOO',
      'CLUSTER',
      'READONLY',
      'READWRITE',
      'ASKING',
      'MSET a 1 b 2',
      'MGET a b',
    ])
  })
})
