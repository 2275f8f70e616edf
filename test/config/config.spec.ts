/** The configuration in force: typed values, CONFIG SET all or nothing, listeners, what is said once. */
import assert from 'node:assert/strict'
import { clusterOptions, createConfig } from '../../lib/config.ts'

describe('a configuration', () => {
  it('has every value typed under its name in camel case', () => {
    const { values } = createConfig('/')
    assert.equal(values.port, 6379)
    assert.equal(values.clusterEnabled, false)
    assert.equal(values.maxmemoryPolicy, 'noeviction')
    assert.deepEqual(values.save[0], { seconds: 3600, changes: 1 })
    assert.deepEqual(values.clientOutputBufferLimit.replica, { hard: 268435456, soft: 67108864, softSeconds: 60 })
    assert.deepEqual(values.bind, ['*', '-::*'])
    assert.equal(values.replicaof, undefined)
    assert.equal(values.dir, '/')
  })

  it('keeps its values object through changes', () => {
    const config = createConfig()
    const { values } = config
    assert.equal(config.set([['maxmemory', '1gb']]), undefined)
    assert.equal(values.maxmemory, 2 ** 30)
    assert.deepEqual(config.get('maxmemory'), [['maxmemory', '1073741824']])
  })

  it('shows an integer beyond 2^53 exactly', () => {
    const config = createConfig()
    config.set([['slowlog-max-len', '9223372036854775807']])
    assert.deepEqual(config.get('slowlog-max-len'), [['slowlog-max-len', '9223372036854775807']])
  })

  it('answers old and new names of a directive alike', () => {
    const config = createConfig()
    for (const [old, name] of [
      ['slave-read-only', 'replica-read-only'],
      ['min-slaves-to-write', 'min-replicas-to-write'],
      ['hash-max-ziplist-entries', 'hash-max-listpack-entries'],
      ['lua-time-limit', 'busy-reply-threshold'],
      ['primaryauth', 'masterauth'],
      ['primaryuser', 'masteruser'],
    ] as const) {
      const value = config.get(name)[0]![1] === 'yes' ? 'no' : '3'
      assert.equal(config.set([[old, value]]), undefined)
      assert.deepEqual(config.get(name, old), [
        [name, value],
        [old, value],
      ])
    }
  })

  it('changes nothing when one of several values is refused', () => {
    const config = createConfig()
    const refusal = config.set([
      ['hz', '20'],
      ['timeout', 'soon'],
    ])
    assert.equal(
      refusal,
      "CONFIG SET failed (possibly related to argument 'timeout') - argument couldn't be parsed into an integer",
    )
    assert.equal(config.values.hz, 10)
  })

  it('tells listeners of what differs only', () => {
    const config = createConfig()
    const heard: number[] = []
    config.onChange(['hz', 'timeout'], (values) => {
      heard.push(values.hz)
      return undefined
    })
    config.set([['hz', '10']])
    config.set([['maxclients', '5']])
    config.set([
      ['hz', '20'],
      ['timeout', '9'],
    ])
    assert.deepEqual(heard, [20])
  })

  it('takes everything back when a listener refuses, and tells those who had heard of it', () => {
    const config = createConfig()
    const ports: number[] = []
    config.onChange(['port'], (values) => {
      ports.push(values.port)
      return undefined
    })
    config.onChange(['bind'], () => 'Failed to bind to specified addresses.')
    const refusal = config.set([
      ['port', '7000'],
      ['hz', '20'],
      ['bind', '192.0.2.1'],
    ])
    assert.equal(
      refusal,
      "CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified addresses.",
    )
    assert.deepEqual(ports, [7000, 6379])
    assert.deepEqual(config.get('port', 'hz', 'bind'), [
      ['port', '6379'],
      ['hz', '10'],
      ['bind', '* -::*'],
    ])
  })

  it('names the directive of a refusal as the client did', () => {
    const config = createConfig()
    config.onChange(['replica-priority'], () => 'no')
    assert.match(config.set([['slave-priority', '1']])!, /'slave-priority'/)
  })

  it('sets protected directives when it may', () => {
    const config = createConfig('/')
    assert.match(config.set([['dir', 'tmp']])!, /can't set protected config$/)
    assert.equal(config.set([['dir', 'tmp']], { setProtected: true }), undefined)
    assert.equal(config.values.dir, '/tmp')
    assert.equal(config.resolve('nodes.conf'), '/tmp/nodes.conf')
  })

  it('records a new primary without CONFIG SET', () => {
    const config = createConfig()
    config.assign('replicaof', '10.0.0.1', '7000')
    assert.deepEqual(config.values.replicaof, { host: '10.0.0.1', port: 7000 })
    assert.deepEqual(config.get('slaveof'), [['slaveof', '10.0.0.1 7000']])
    config.assign('replicaof', 'no', 'one')
    assert.equal(config.values.replicaof, undefined)
  })

  it('says once what it accepts and does not act upon', () => {
    const config = createConfig()
    config.give('io-threads', ['4'])
    config.give('activerehashing', ['yes'])
    assert.deepEqual(config.takeNotices(), ['io-threads: accepted for compatibility, has no effect here'])
    config.give('io-threads', ['5'])
    config.set([['activedefrag', 'yes']])
    assert.deepEqual(config.takeNotices(), ['activedefrag: accepted for compatibility, has no effect here'])
    assert.deepEqual(config.takeNotices(), [])
  })

  it('says nothing about `save ""`', () => {
    const config = createConfig()
    config.give('save', [''])
    assert.deepEqual(config.takeNotices(), [])
    assert.deepEqual(config.values.save, [])
  })

  it('refuses announced names that would damage nodes.conf', () => {
    const config = createConfig()
    for (const [name, value] of [
      ['cluster-announce-ip', '10.0.0.1 myself'],
      ['cluster-announce-ip', '10.0.0.1,x'],
      ['cluster-announce-human-nodename', 'a,b'],
      ['cluster-announce-human-nodename', 'a b'],
      ['cluster-announce-client-ipv4', '256.1.1.1'],
      ['cluster-announce-client-ipv6', '10.0.0.1'],
    ] as const)
      assert.notEqual(config.set([[name, value]]), undefined, `${name} ${value}`)
    for (const [name, value] of [
      ['cluster-announce-ip', '2001:db8::1'],
      ['cluster-announce-human-nodename', 'rack-3.node_7'],
      ['cluster-announce-client-ipv4', '10.0.0.1'],
      ['cluster-announce-client-ipv6', '::ffff:10.0.0.1'],
      ['cluster-announce-client-ipv6', ''],
    ] as const)
      assert.equal(config.set([[name, value]]), undefined, `${name} ${value}`)
  })
})

describe('the options of the cluster', () => {
  it('say that there is one database, which valkey-cli asks before it moves a slot, and no file can change that', () => {
    const config = createConfig()
    assert.deepEqual(config.get('cluster-databases'), [['cluster-databases', '1']])
    assert.equal(config.give('cluster-databases', ['1']), 'given')
    const refusal = 'argument must be between 1 and 1 inclusive'
    assert.deepEqual(config.give('cluster-databases', ['2']), { refusal })
  })

  it('follow the configuration in the same object', () => {
    const config = createConfig()
    const options = clusterOptions(config, 0)
    assert.equal(options.nodeTimeoutMs, 15000)
    assert.equal(options.blacklistTtlSec, 60)
    const seen: boolean[] = []
    config.onChange(['cluster-replica-no-failover'], () => {
      seen.push(options.replicaNoFailover)
      return undefined
    })
    config.set([
      ['cluster-slave-no-failover', 'yes'],
      ['cluster-node-timeout', '2000'],
    ])
    assert.deepEqual(seen, [true])
    assert.equal(options.nodeTimeoutMs, 2000)
  })
})
