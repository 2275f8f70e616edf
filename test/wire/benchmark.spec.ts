/** redis-benchmark against a cluster: no error stops it, every request is answered, and keys go where they belong. */
import assert from 'node:assert/strict'
import { type CliResult, startProgram } from '../support/cli.ts'
import { ask, fields } from '../support/client.ts'
import { type Cluster, startCluster, tagIn } from '../support/cluster.ts'
import { scenarios } from '../support/suite.ts'

const REQUESTS = 2000

scenarios('redis-benchmark', ['rookery', 'mixed'], (kinds) => {
  let cluster: Cluster

  before(async () => {
    cluster = await startCluster({ kinds, replicas: 1 })
  })

  it('--cluster spreads its load over the primaries', async () => {
    const { code, output } = await benchmark('-p', cluster.nodes[4]!.port, '--cluster', '-t', 'set,get', '-r', 1000)
    assert.equal(code, 0, output)
    for (const name of ['SET', 'GET']) assert.match(output, finished(name))
    for (const { port } of cluster.primaries) assert.ok(Number(await ask(port, 'DBSIZE')) > 0, `${port} has no key`)
  })

  it('--cluster runs threaded and pipelined', async () => {
    const { code, output } = await benchmark(
      '-p',
      cluster.nodes[0]!.port,
      '--cluster',
      '-t',
      'set',
      '--threads',
      2,
      '-P',
      16,
    )
    assert.equal(code, 0, output)
    assert.match(output, finished('SET'))
  })

  it('runs against one node with keys of that node', async () => {
    const { port } = cluster.primaries[1]!
    const processed = async (): Promise<number> =>
      Number((await fields(port, 'INFO', 'stats'))['total_commands_processed'])
    const before = await processed()
    const { code, output } = await benchmark('-p', port, 'SET', `{${tagIn(8000)}}:__rand_int__`, 'v')
    assert.equal(code, 0, output)
    assert.match(output, /requests per second/)
    assert.ok((await processed()) - before >= REQUESTS)
  })

  it('without --cluster stops at the first redirection, which it prints', async () => {
    const { code, output } = await benchmark('-p', cluster.primaries[0]!.port, 'SET', `{${tagIn(8000)}}`, 'v')
    assert.notEqual(code, 0)
    assert.match(output, new RegExp(`Error from server: MOVED 8000 ${cluster.primaries[1]!.address}`))
  })
})

scenarios('redis-benchmark without --cluster', ['rookery'], (kinds) => {
  it('runs to the end against a cluster of one node', async () => {
    const { primaries } = await startCluster({ kinds, primaries: 1 })
    const { code, output } = await benchmark('-p', primaries[0]!.port, '-t', 'ping,set,get,incr,mset')
    assert.equal(code, 0, output)
    for (const name of ['PING_INLINE', 'PING_MBULK', 'SET', 'GET', 'INCR', 'MSET (10 keys)'])
      assert.match(output, finished(name))
  })
})

/** Runs redis-benchmark to its end. */
const benchmark = (...argv: readonly (string | number)[]): Promise<CliResult> =>
  startProgram('redis-benchmark', ['-n', REQUESTS, '-q', ...argv]).result

/** A test's last line, after those it has overwritten. */
const finished = (name: string): RegExp => new RegExp(`${name.replace(/[()]/g, '\\$&')}: [\\d.]+ requests per second`)
