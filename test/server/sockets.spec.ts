/** Clients' sockets, read and written through Node's streams and past them: nobody can tell which from outside. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { openRawPath } from '../../lib/base/raw-socket.ts'
import { plainPath, type SocketPath } from '../../lib/base/socket-wire.ts'
import { type Listener, listen } from '../../lib/server/listener.ts'
import type { Server } from '../../lib/server/server.ts'
import { Client, closeClients, connect } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { InProcess } from '../support/inprocess.ts'
import { freePort } from '../support/ports.ts'
import { encode } from '../support/resp.ts'

const MB = 1 << 20
const PATHS: Readonly<Record<string, SocketPath | undefined>> = { plain: plainPath, raw: openRawPath() }

describe('the raw path', () => {
  it('exists in the Node we test with', () => assert.ok(openRawPath()))

  it('does not where Node shows none of its insides', () => {
    const insides = Object.getOwnPropertyDescriptor(process, 'binding')!
    for (const binding of [undefined, () => ({}), () => assert.fail('no such module')]) {
      Object.defineProperty(process, 'binding', { value: binding, configurable: true })
      try {
        assert.equal(openRawPath(), undefined)
      } finally {
        Object.defineProperty(process, 'binding', insides)
      }
    }
  })
})

for (const [name, sockets] of Object.entries(PATHS)) if (sockets !== undefined) specify(name, sockets)

function specify(name: string, sockets: SocketPath): void {
  describe(`the ${name} path`, () => {
    let inner: InProcess
    let server: Server
    let listener: Listener
    let port: number
    let folder: string
    const raw: net.Socket[] = []

    beforeEach(async () => {
      inner = new InProcess()
      server = inner.server
      server.host = { ...server.host, requestEndTurn: () => void setImmediate(() => server.endTurn()) }
      port = await freePort()
      folder = mkdtempSync(path.join(tmpdir(), 'rookery-sockets-'))
      listener = await listen(server, {
        bind: ['127.0.0.1'],
        port,
        tlsPort: 0,
        unixSocket: path.join(folder, 'socket'),
        unixSocketMode: 0o700,
        backlog: 511,
        sockets,
      })
    })

    afterEach(async () => {
      closeClients()
      for (const socket of raw.splice(0)) socket.destroy()
      for (const client of server.clients.values()) server.disconnect(client)
      await listener.close()
      rmSync(folder, { recursive: true, force: true })
    })

    /** A socket that reads nothing until it is resumed. */
    async function open(): Promise<net.Socket> {
      const socket = net.createConnection({ port, host: '127.0.0.1' })
      raw.push(socket)
      socket.on('error', () => {})
      await once(socket, 'connect')
      await until('it is a client', () => server.clients.size > 0)
      return socket
    }

    const only = () => [...server.clients.values()][0]!
    const until = (what: string, probe: () => boolean) => eventually(probe, { what, withinMs: 10_000 })

    it('answers a pipeline of 10000 in order', async () => {
      const client = await connect(port)
      const numbers = Array.from({ length: 10_000 }, (_, i) => String(i))
      assert.deepEqual(await client.pipeline(numbers.map((n) => ['ECHO', n])), numbers)
    })

    it('keeps unfinished requests of different clients apart', async () => {
      const clients = await Promise.all(Array.from({ length: 20 }, () => connect(port)))
      const requests = clients.map((_, i) => encode(['ECHO', `${i}`.repeat(50)]))
      const length = 20
      clients.forEach((client, i) => void client.send(requests[i]!.subarray(0, length)))
      await until('the first parts are read', () => server.stats.inputBytes >= length * clients.length)
      const replies = await Promise.all(clients.map((client, i) => client.raw(requests[i]!.subarray(length))))
      for (const [i, reply] of replies.entries()) assert.ok(reply.includes(`${i}`.repeat(50)))
    })

    it('takes a large request whole', async () => {
      const client = await connect(port)
      const value = Buffer.alloc(20 * MB, 'rookery.')
      assert.equal(await client.text('SET', 'k', value), 'OK')
      const reply = await client.raw(encode(['GET', 'k']))
      assert.ok(reply.subarray(reply.indexOf('\n') + 1, -2).equals(value))
    })

    it('holds 100 MB for a slow reader, says so, and delivers all of it in order', async () => {
      const value = Buffer.alloc(10 * MB, '0123456789abcdef')
      await (await connect(port)).call('SET', 'k', value)
      closeClients()
      await until('the writer has left', () => server.clients.size === 0)
      const slow = await open()
      slow.write(Buffer.concat([...Array(10).fill(encode(['GET', 'k'])), encode(['PING', 'last'])]))
      await until('replies wait', () => only().wire.buffered > 80 * MB)
      const parts: Buffer[] = []
      let length = 0
      const one = Buffer.concat([Buffer.from(`$${value.length}\r\n`), value, Buffer.from('\r\n')])
      const whole = Buffer.concat([...Array<Buffer>(10).fill(one), Buffer.from('$4\r\nlast\r\n')])
      slow.on('data', (part) => {
        parts.push(part)
        length += part.length
      })
      await until('everything has come', () => length >= whole.length)
      assert.ok(Buffer.concat(parts).equals(whole))
      await until('nothing waits', () => only().wire.buffered === 0)
    })

    it('drops a client over its output limit', async () => {
      const client = await connect(port)
      await client.call('SET', 'k', Buffer.alloc(10 * MB))
      await client.call('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 1mb 0 0')
      closeClients()
      await until('the writer has left', () => server.clients.size === 0)
      const slow = await open()
      slow.write(encode(['GET', 'k']))
      await until('it is dropped', () => server.clients.size === 0)
      assert.ok(inner.log.some((line) => line.includes('overcoming of output buffer limits')))
    })

    it('drops a client over its output limit although the kernel would take the reply', async () => {
      const client = await connect(port)
      await client.call('RPUSH', 'list', ...Array<string>(30_000).fill('ten bytes!'))
      await client.call('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 400kb 0 0')
      assert.equal(((await client.call('LRANGE', 'list', '0', '9999')) as readonly string[]).length, 10_000)
      client.send(encode(['LRANGE', 'list', '0', '-1']))
      await client.untilClosed()
      assert.ok(inner.log.some((line) => line.includes('overcoming of output buffer limits')))
    })

    it('serves others while a client does not read a huge reply', async () => {
      const other = await connect(port)
      await other.call('RPUSH', 'list', ...Array<string>(100_000).fill('x'.repeat(100)))
      const slow = await open()
      slow.write(Buffer.concat(Array<Buffer>(4).fill(encode(['LRANGE', 'list', '0', '-1']))))
      await until('replies wait', () => [...server.clients.values()].some(({ wire }) => wire.buffered > 20 * MB))
      for (let i = 0; i < 100; i++) assert.equal(await other.text('ECHO', String(i)), String(i))
    })

    it('sends what is buffered before it closes', async () => {
      const client = await open()
      client.write(Buffer.concat([encode(['PING', 'x'.repeat(MB)]), encode(['QUIT']), encode(['PING'])]))
      const parts: Buffer[] = []
      client.on('data', (part) => parts.push(part))
      await once(client, 'close')
      const reply = Buffer.concat(parts).toString()
      assert.equal(reply, `$${MB}\r\n${'x'.repeat(MB)}\r\n+OK\r\n`)
    })

    it('answers a client that has said all it wants to say', async () => {
      const client = await open()
      let reply = ''
      client.on('data', (part) => {
        reply += part
      })
      client.write(encode(['PING']))
      await until('it is answered', () => reply === '+PONG\r\n')
      client.end()
      await once(client, 'close')
      await until('it is forgotten', () => server.clients.size === 0)
    })

    it('forgets a client that leaves in the middle of a request, politely or not', async () => {
      for (const leave of [(s: net.Socket) => s.end(), (s: net.Socket) => s.resetAndDestroy()]) {
        const client = await open()
        const before = server.stats.inputBytes
        client.write('*2\r\n$4\r\nECHO\r\n$100\r\nhalf')
        await until('the half is read', () => server.stats.inputBytes > before)
        leave(client)
        await until('it is forgotten', () => server.clients.size === 0)
      }
    })

    it('forgets a client that leaves while its replies wait', async () => {
      await (await connect(port)).call('SET', 'k', Buffer.alloc(10 * MB))
      closeClients()
      await until('the writer has left', () => server.clients.size === 0)
      const slow = await open()
      slow.write(encode(['GET', 'k']))
      await until('replies wait', () => only().wire.buffered > MB)
      slow.resetAndDestroy()
      await until('it is forgotten', () => server.clients.size === 0)
    })

    it('takes nothing from a blocked client, and everything afterwards', async () => {
      const [blocked, other] = [await connect(port), await connect(port)]
      const first = blocked.call('BLPOP', 'list', 0)
      await until('it waits', () => only().blocked !== undefined)
      const long = 'y'.repeat(MB)
      const rest = blocked.pipeline([
        ['PING', long],
        ['ECHO', 'after'],
      ])
      await other.call('RPUSH', 'list', 'element')
      assert.deepEqual(await first, ['list', 'element'])
      assert.deepEqual(await rest, [long, 'after'])
      assert.deepEqual(await blocked.pipeline([['PING'], ['ECHO', 'again']]), ['PONG', 'again'])
    })

    it('does not read without end what a blocked client sends', async () => {
      const client = await open()
      client.write(encode(['BLPOP', 'list', 0]))
      await until('it waits', () => only().blocked !== undefined)
      const before = server.stats.inputBytes
      client.write(Buffer.alloc(50 * MB))
      await (await connect(port)).call('PING')
      assert.ok(client.writableLength > 0)
      assert.ok(server.stats.inputBytes - before < MB)
    })

    it('notices that a blocked client has left', async () => {
      const client = await open()
      client.write(encode(['BLPOP', 'list', 0]))
      await until('it waits', () => only().blocked !== undefined)
      client.end()
      await until('it is forgotten', () => server.clients.size === 0)
    })

    it('survives clients that come and go, and stops when the last has left', async () => {
      for (let round = 0; round < 10; round++) {
        const clients = await Promise.all(Array.from({ length: 50 }, () => connect(port)))
        await Promise.all(clients.map((client) => client.call('PING')))
        closeClients()
      }
      await until('all are forgotten', () => server.clients.size === 0)
      assert.equal(server.stats.connections, 500)
      await listener.close()
    })

    it('serves the unix socket too', async () => {
      const socket = net.createConnection(path.join(folder, 'socket'))
      raw.push(socket)
      await once(socket, 'connect')
      const client = new Client(0, socket, 5000)
      assert.deepEqual(await client.pipeline([['PING'], ['ECHO', 'unix']]), ['PONG', 'unix'])
    })
  })
}
