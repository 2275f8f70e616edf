/** The tutorial, typed line by line: six directories, one configuration each, and redis-cli --cluster as a person uses it, questions and
 *  all. The rows R1, R12, R13, R32, R36, R41, R53, R63, T1, T2, T3 and T5 of the feature list. */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { clusterTool, type RunningCli, redisCli, startProgram } from '../support/cli.ts'
import { ask, connect, fields, outcome } from '../support/client.ts'
import { keyIn, myId, myself, nodeLines, settled, slotCount, startCluster, startNodes } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { freePorts } from '../support/ports.ts'
import { PROGRAMS } from '../support/process.ts'
import { ReplyError } from '../support/resp.ts'
import { scenarios } from '../support/suite.ts'

/** The tutorial's five lines. */
const CONF = `port PORT
cluster-enabled yes
cluster-config-file nodes.conf
cluster-node-timeout 5000
appendonly yes
`

/** Typed at a shell, from the directory that holds the program as `redis-server`. `7000` stands for the first port. */
const SHELL = `mkdir cluster-test
cd cluster-test
mkdir 7000 7001 7002 7003 7004 7005`

scenarios('the tutorial', ['rookery'], ([kind = 'rookery']) => {
  let base: string
  let first: number
  const running: RunningCli[] = []
  const ports = (): number[] => Array.from({ length: 6 }, (_, i) => first + i)
  const addresses = (): string[] => ports().map((port) => `127.0.0.1:${port}`)
  const typed = (text: string): string => text.replaceAll(/700(\d)/g, (_, digit) => String(first + Number(digit)))

  before(async () => {
    base = mkdtempSync(join(tmpdir(), 'rookery-tutorial-'))
    first = await freePorts(6)
    const { code, output } = await startProgram('sh', ['-ec', `cd ${base}\n${typed(SHELL)}`]).result
    assert.equal(code, 0, output)
    const program = join(base, 'cluster-test', 'redis-server')
    writeFileSync(program, `#!/bin/sh\nexec ${PROGRAMS[kind].join(' ')} "$@"\n`)
    chmodSync(program, 0o755)
  })
  after(async () => {
    for (const { process } of running) process.kill('SIGKILL')
    await Promise.all(running.map(({ result }) => result))
    rmSync(base, { recursive: true, force: true, maxRetries: 10 })
  })

  it('R32, R36: six directories, the five lines in each, and ../redis-server ./redis.conf', async () => {
    for (const port of ports()) {
      writeFileSync(join(base, 'cluster-test', String(port), 'redis.conf'), CONF.replace('PORT', String(port)))
      const line = `cd ${base}/cluster-test\ncd ${port}\nexec ../redis-server ./redis.conf`
      running.push(startProgram('sh', ['-ec', line], { timeoutMs: 110_000 }))
    }
    for (const port of ports())
      await eventually(() => outcome(port, 'PING'), {
        what: `${port} answers`,
        withinMs: 15_000,
        until: (reply) => reply === 'PONG',
      })
  })

  it('T1: create proposes a layout and asks; "no" changes nothing', async () => {
    const create = ['--cluster', 'create', ...addresses(), '--cluster-replicas', 1]
    const { output } = await redisCli(create, { input: 'no\n' })
    assert.match(
      output,
      /Master\[0\] -> Slots 0 - 5460\nMaster\[1\] -> Slots 5461 - 10922\nMaster\[2\] -> Slots 10923 - 16383/,
    )
    assert.match(output, /Can I set the above configuration\? \(type 'yes' to accept\): /)
    for (const port of ports()) assert.equal((await nodeLines(port)).length, 1)
  })

  it('T1, T2: "yes" makes three primaries and three replicas, on which all agree as soon as they have links', async () => {
    const create = ['--cluster', 'create', ...addresses(), '--cluster-replicas', 1]
    const { code, output } = await redisCli(create, { input: 'yes\n' })
    assert.equal(code, 0, output)
    assert.match(output, /\[OK\] All 16384 slots covered\.\n$/)
    const replicasAt = async (port: number): Promise<number> =>
      (await nodeLines(port)).filter((line) => line.flags.includes('slave') && line.primary).length
    await eventually(() => Promise.all(ports().map(replicasAt)), {
      what: 'every node sees three replicas',
      withinMs: 2000,
      until: (counts) => counts.every((n) => n === 3),
    })
  })

  it('R1: spreads keys over the primaries by their slots', async () => {
    await settled(ports().map((port) => ({ port })))
    const clients = new Map(await Promise.all(ports().map(async (port) => [port, await connect(port)] as const)))
    const keys = Array.from({ length: 3000 }, (_, i) => `k:${i}`)
    const left = new Map(keys.map((key) => [key, first]))
    for (let round = 0; left.size > 0 && round < 3; round++) {
      for (const [port, client] of clients) {
        const mine = [...left].filter(([, at]) => at === port).map(([key]) => key)
        const replies = await client.pipeline(mine.map((key) => ['SET', key, 'v']))
        for (const [i, reply] of replies.entries()) {
          const to = reply instanceof ReplyError ? /^MOVED \d+ [^ ]*:(\d+)$/.exec(reply.message)?.[1] : undefined
          if (to === undefined) assert.equal(reply, 'OK')
          if (to === undefined) left.delete(mine[i]!)
          else left.set(mine[i]!, Number(to))
        }
      }
    }
    const sizes = await Promise.all(
      ports()
        .slice(0, 3)
        .map((port) => ask(port, 'DBSIZE').then(Number)),
    )
    assert.equal(
      sizes.reduce((a, b) => a + b),
      keys.length,
    )
    for (const size of sizes) assert.ok(Math.abs(size - 1000) < 120, `${sizes}`)
  })

  it('R12: keys with a hash tag go where their tag goes', async () => {
    const slots = { foo: 12182, hello: 866, __last__: 15700, '123456789': 12739, 'this{foo}key': 12182 }
    const more = { 'another{foo}key': 12182, 'foo{}{bar}': 8363, 'foo{{bar}}zap': 4015, 'foo{bar}{zap}': 5061 }
    for (const [key, slot] of Object.entries({ ...slots, ...more }))
      assert.equal(await ask(first, 'CLUSTER', 'KEYSLOT', key), slot, key)
  })

  it('R41: every node shows the same slot map, and by it no client is sent elsewhere', async () => {
    const plain = (map: unknown): string =>
      JSON.stringify(
        (map as unknown[][]).map(([from, to, ...nodes]) => [from, to, nodes[0], nodes.slice(1).sort()]).sort(),
      )
    const read = (): Promise<unknown[]> => Promise.all(ports().map((port) => ask(port, 'CLUSTER', 'SLOTS')))
    // A replica is listed once its offset has been heard of.
    const maps = await eventually(read, {
      what: 'the maps are the same',
      withinMs: 10_000,
      until: (seen) => new Set(seen.map(plain)).size === 1,
    })
    for (const [from, to, [, port]] of maps[0] as [number, number, [string, number]][])
      for (const slot of [from, to]) assert.equal(await outcome(port, 'GET', keyIn(slot)), '')
  })

  it('T3, T5: reshard asks how many, to whom and from where, at any node, and moves a dot per key', async () => {
    const [target] = await nodeLines(first).then((lines) => lines.filter((line) => line.port === first))
    const answers = [
      [/How many slots do you want to move \(from 1 to 16384\)\? $/, '1000'],
      [/What is the receiving node ID\? $/, target!.id],
      [/Source node #1: $/, 'all'],
      [/Do you want to proceed with the proposed reshard plan \(yes\/no\)\? $/, 'yes'],
    ] as const
    const { code, output } = await redisCli(['--cluster', 'reshard', addresses()[5]!], { answers })
    assert.equal(code, 0, output)
    assert.match(output, new RegExp(`Moving slot \\d+ from .* to 127.0.0.1:${first}: \\.`))
    const line = (await nodeLines(first)).find(({ port }) => port === first)!
    assert.equal(slotCount(line), 5461 + 1000)
    for (const address of addresses()) await clusterTool('check', address)
  })

  it('R53: DEBUG SEGFAULT ends a process without a word to its clients', async () => {
    const [server] = await startNodes({ kinds: [kind] }, 1)
    const { output } = await redisCli(['-p', server!.port, 'debug', 'segfault'])
    assert.match(output, /Error: Server closed the connection/)
    assert.notEqual(await server!.exited(), 0)
    assert.doesNotMatch(server!.log, /bye bye/)
  })
})

scenarios('slots and replicas by hand', ['rookery', 'mixed'], (kinds) => {
  it('R13: ranges as an operator gave them are what CLUSTER SLOTS shows', async () => {
    const ranges = [
      [0, 5500],
      [5501, 11000],
      [11001, 16383],
    ] as const
    const nodes = await startNodes({ kinds, nodeTimeoutMs: 1500 }, 3)
    for (const [i, [from, to]] of ranges.entries()) {
      await ask(nodes[i]!.port, 'CLUSTER', 'SET-CONFIG-EPOCH', i + 1)
      await ask(nodes[i]!.port, 'CLUSTER', 'ADDSLOTSRANGE', from, to)
      if (i > 0) await ask(nodes[0]!.port, 'CLUSTER', 'MEET', '127.0.0.1', nodes[i]!.port)
    }
    await settled(nodes)
    for (const { port } of nodes) {
      const shown = (await ask(port, 'CLUSTER', 'SLOTS')) as [number, number, [string, number]][]
      assert.deepEqual(
        shown.map(([from, to, [, at]]) => [from, to, at]).sort((a, b) => a[0]! - b[0]!),
        ranges.map((range, i) => [...range, nodes[i]!.port]),
      )
    }
    await Promise.all(nodes.map((node) => node.remove()))
  })

  it('R63: CLUSTER REPLICATE moves a replica to another primary at any time, and all know', async () => {
    const { nodes, primaries, replicas } = await startCluster({ kinds, replicas: [1, 0, 0], nodeTimeoutMs: 1500 })
    const [replica, next] = [replicas[0]![0]!, primaries[1]!]
    await ask(primaries[0]!.port, 'SET', keyIn(0), 'old')
    await ask(next.port, 'SET', keyIn(8000), 'new')
    assert.equal(await outcome(replica.port, 'CLUSTER', 'REPLICATE', await myId(next)), 'OK')
    await settled(nodes)
    assert.equal((await myself(replica)).primary, await myId(next))
    assert.equal((await fields(replica.port, 'INFO', 'replication'))['master_port'], String(next.port))
    const reader = await connect(replica.port)
    await reader.call('READONLY')
    assert.equal(await reader.outcome('GET', keyIn(8000)), 'new')
    assert.equal(await reader.call('DBSIZE'), 1)
  })
})

scenarios('cluster-node-timeout', ['rookery'], (kinds) => {
  it('R28: a dead node is suspected after the timeout, not before, whatever it is', async () => {
    for (const T of [1000, 3000]) {
      const { nodes } = await startCluster({ kinds, nodeTimeoutMs: T })
      const [dead, observer] = [nodes[1]!, nodes[0]!]
      const id = await myId(dead)
      dead.pause()
      const since = performance.now()
      await eventually(async () => (await nodeLines(observer.port)).find((line) => line.id === id)?.flags ?? [], {
        what: 'it is suspected',
        withinMs: 3 * T + 2000,
        until: (flags) => flags.some((flag) => flag.startsWith('fail')),
      })
      const after = performance.now() - since
      assert.ok(after > T - 100 && after < 1.5 * T + 700, `suspected after ${Math.round(after)} ms`)
      await Promise.all(nodes.map((node) => node.remove()))
    }
  })
})
