/** PING ECHO HELLO AUTH SELECT QUIT RESET: byte for byte as redis-server 7.0.15 answers. */
import assert from 'node:assert/strict'
import { protectedModeRefusal } from '../../lib/server/protected-mode.ts'
import { Beside } from '../support/beside-redis.ts'
import { InProcess } from '../support/inprocess.ts'
import { stopEverything } from '../support/process.ts'
import { encode } from '../support/resp.ts'
import { describeBeside } from '../support/tools.ts'

/** Our version is not theirs, and connections are numbered differently. */
const VERSION = [/\$6\r\n7\.0\.15|\$5\r\n7\.2\.4/g, '<version>'] as const
const ID = [/(\$2\r\nid\r\n):\d+/g, '$1:<id>'] as const

describeBeside('connection commands', () => {
  let beside: Beside
  before(async () => {
    beside = await Beside.start()
  })
  after(stopEverything)

  it('answers PING and ECHO in every form', () =>
    beside.session([
      'PING',
      'PING hi',
      ['PING', ''],
      'PING a b',
      'ECHO hi',
      'ECHO',
      ['ECHO', Buffer.from([0, 255, 13])],
    ]))

  it('answers PING as a message in RESP2 subscriber mode, and plainly in RESP3', () =>
    beside.session(['SUBSCRIBE c', 'PING', 'PING x', 'UNSUBSCRIBE', 'PING', 'HELLO 3', 'SUBSCRIBE c', 'PING x'], {
      mask: [VERSION, ID],
    }))

  it('greets in both protocols and refuses others', () =>
    beside.session(
      [
        'HELLO',
        'HELLO 3',
        'HELLO',
        'HELLO 2',
        'HELLO x',
        'HELLO 4',
        'HELLO 2 FOO',
        'HELLO 2 AUTH a',
        'HELLO 2 SETNAME',
      ],
      { mask: [VERSION, ID] },
    ))

  it('checks who says HELLO before it changes anything', () =>
    beside.session(
      [
        'HELLO 3 AUTH nobody x',
        'HELLO 2 AUTH default x SETNAME me',
        'CLIENT GETNAME',
        ['HELLO', '3', 'SETNAME', 'a b'],
        'CLIENT GETNAME',
      ],
      { mask: [VERSION, ID] },
    ))

  it('takes any password while none is configured, but tells AUTH <password> so', () =>
    beside.session(['AUTH a', 'AUTH a b', 'AUTH default b', 'AUTH a b c', 'AUTH']))

  it('selects databases in range', () =>
    beside.session(['SELECT 3', 'SET k v', 'SELECT 0', 'EXISTS k', 'SELECT 16', 'SELECT -1', 'SELECT x', 'SELECT']))

  it('resets a connection to what a new one is', () =>
    beside.session(
      [
        'HELLO 3',
        'SELECT 2',
        'CLIENT SETNAME n',
        'SUBSCRIBE c',
        'RESET',
        'CLIENT GETNAME',
        'PING',
        'MULTI',
        'RESET',
        'EXEC',
      ],
      { mask: [VERSION, ID] },
    ))

  it('closes the connection after the reply to QUIT', () => {
    const ours = new InProcess()
    const connection = ours.connect()
    const replies = connection.raw(Buffer.concat([encode(['QUIT']), encode(['PING'])])).toString()
    assert.equal(replies, '+OK\r\n')
    assert.ok(connection.closed)
    assert.equal(ours.server.clients.size, 0)
  })
})

describeBeside('a server with a password', () => {
  let beside: Beside
  const conf = { requirepass: 'secret' }
  before(async () => {
    beside = await Beside.start(conf)
  })
  after(stopEverything)

  it('lets nobody do anything but say who they are', () =>
    beside.session(
      ['PING', 'GET x', 'HELLO 3', 'AUTH wrong', 'AUTH other secret', 'RESET', 'AUTH secret', 'PING', 'RESET', 'PING'],
      { conf, mask: [VERSION, ID] },
    ))

  it('takes the password in HELLO', () =>
    beside.session(['HELLO 2 AUTH default no', 'HELLO 3 AUTH default secret SETNAME me', 'CLIENT GETNAME'], {
      conf,
      mask: [VERSION, ID],
    }))

  it('takes no large request before that', () =>
    beside.session([['ECHO', ...Array.from({ length: 10 }, () => 'x')]], { conf }))

  it('shows no password in the slow log and to monitors', () => {
    const ours = new InProcess({ ...conf, 'slowlog-log-slower-than': '0' })
    const monitor = ours.connect()
    monitor.call('AUTH', 'secret')
    monitor.call('MONITOR')
    const other = ours.connect()
    other.call('AUTH', 'default', 'secret')
    other.call('HELLO', '2', 'AUTH', 'default', 'secret', 'SETNAME', 'me')
    assert.doesNotMatch(monitor.taken().toString(), /secret/)
    assert.doesNotMatch(JSON.stringify(other.call('SLOWLOG', 'GET')), /secret/)
  })
})

describe('protected mode', () => {
  const refused = (conf: Readonly<Record<string, string>>, address: string | undefined): boolean =>
    protectedModeRefusal(new InProcess(conf).server.config, address) !== undefined

  it('keeps out other machines, and nobody on this one', () => {
    assert.ok(refused({}, '10.0.0.1'))
    assert.ok(refused({}, '::ffff:10.0.0.1'))
    for (const local of ['127.0.0.1', '127.9.9.9', '::ffff:127.0.0.1', '::1', undefined]) assert.ok(!refused({}, local))
  })

  it('ends with a password, or when it is switched off', () => {
    assert.ok(!refused({ requirepass: 'secret' }, '10.0.0.1'))
    assert.ok(!refused({ 'protected-mode': 'no' }, '10.0.0.1'))
  })
})
