/** Waiting for sorted sets: who is served, with what, and what is answered meanwhile. */
import { Beside, type Session, type Step } from '../support/beside-redis.ts'
import { stopEverything } from '../support/process.ts'
import { describeBeside } from '../support/tools.ts'

/** What HELLO says of the server and the connection. */
const mask: Session['mask'] = [
  [/\$\d\r\n\d\.\d\.\d+/, 'version'],
  [/:\d+(?=\r\n\$4\r\nmode)/, 'id'],
]

const session = (title: string, steps: readonly Step[]): void => {
  it(title, () => beside.session(steps, { mask }))
}

let beside: Beside

describeBeside('waiting for sorted sets as on redis-server 7.0', function () {
  this.timeout(30_000)
  before(async () => {
    beside = await Beside.start()
  })
  after(stopEverything)

  for (const protocol of [2, 3]) {
    session(`is over as soon as there is a member (RESP${protocol})`, [
      `b> HELLO ${protocol}`,
      'b> BZPOPMIN z 0',
      'ZADD z 1 one 2 two',
      'ZRANGE z 0 -1',
      'b> BZPOPMAX other z 0',
      'ZCARD z',
      'b> BZMPOP 0 2 other z MIN COUNT 2',
      'ZADD other 3 three 4 four 5.5 five',
      'ZRANGE other 0 -1',
    ])
  }
  session('serves who came first, and the others while there are members', [
    'b> BZPOPMIN z 0',
    'c> BZPOPMAX z 0',
    'd> BZMPOP 0 1 z MAX COUNT 5',
    'ZADD z 1 one 2 two 3 three 4 four',
    'EXISTS z',
  ])
  session('goes on when the member is gone before the transaction is over', [
    'b> BZPOPMIN z 0',
    'MULTI',
    'ZADD z 1 one',
    'ZREM z one',
    'EXEC',
    'ZADD z 2 two',
    'EXISTS z',
  ])
  session('is for sorted sets only', [
    'b> BZPOPMIN z 0',
    'RPUSH z element',
    'DEL z',
    'c> BLPOP z 0',
    'ZADD z 1 one',
    'LPUSH z element',
  ])
  session('ends for members that come by another way', [
    'b> BZPOPMIN z 0',
    'ZADD from 1 one 2 two',
    'RENAME from z',
    'c> BZPOPMAX z 0',
    'd> BZPOPMAX z 0',
    'ZADD from 1 one',
    'ZUNIONSTORE z 1 from',
    'GEOADD z 13.361389 38.115556 Palermo',
  ])
  session('does not begin where there is something, nor in a transaction', [
    'SET s text',
    'ZADD z 1 one 2 two',
    'BZPOPMIN none s z 0',
    'BZPOPMIN none z 0',
    'MULTI',
    'BZPOPMAX none 0',
    'BZMPOP 0 1 none MIN',
    'BZMPOP 0 2 none z MAX',
    'EXEC',
  ])
  session('refuses what it does not understand', [
    'BZPOPMIN z -1',
    'BZPOPMIN z x',
    'BZMPOP 0 0 z MIN',
    'BZMPOP 0 1 z MIDDLE',
    'BZMPOP 0 1 z MIN COUNT 0',
    'BZMPOP x 0 z MIN',
    'BZMPOP 0 1 z MIN COUNT 1 COUNT 2',
  ])
})
