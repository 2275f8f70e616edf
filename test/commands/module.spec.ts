import { Beside } from '../support/beside-redis.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

describeBeside('MODULE', () => {
  after(stopEverything)

  it('has none, and loads none, in the words of a real server', async () => {
    const beside = await Beside.start()
    await beside.session([
      'MODULE LIST',
      'MODULE HELP',
      'MODULE',
      'MODULE FOO',
      'MODULE LOAD',
      'MODULE LOAD /nowhere.so',
      'MODULE LOADEX /nowhere.so CONFIG a b',
      'MODULE UNLOAD nothing',
    ])
  })
})
