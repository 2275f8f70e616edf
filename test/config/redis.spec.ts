/** The configuration beside redis-server's own: the same names, defaults, texts and files. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Config, ConfigError, configFromArguments, createConfig } from '../../lib/config.ts'
import { ask, outcome } from '../support/client.ts'
import { freePort } from '../support/ports.ts'
import { prepareServer, startServer } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'

/** Names of ours that redis-server 7.0 does not have: they come from Valkey, from later versions, or from nobody else. */
const NEWER = [
  'primaryauth',
  'primaryuser',
  'cluster-announce-human-nodename',
  'cluster-announce-client-ipv4',
  'cluster-announce-client-ipv6',
  'cluster-blacklist-ttl',
  'cluster-databases',
  'cluster-fast-failover',
  'cluster-slot-stats-enabled',
]
/** Texts that every part of a value may be, good and bad. Directives that would end the test are not asked. */
const VALUES = [
  '',
  'zzz',
  'yes',
  'NO',
  '0',
  '1',
  '-1',
  '7',
  '007',
  '1.5',
  '100',
  '1001',
  '70000',
  '9'.repeat(30),
].concat(['9223372036854775807', '2147483648', '1kb', '3MB', '1g', '5%', '101%', '%', 'a b', 'a/b', 'save now'])
const UNTRIED: ReadonlySet<string> = new Set([
  ...['port', 'tls-port', 'bind', 'requirepass', 'dir', 'maxclients', 'appendonly', 'maxmemory', 'maxmemory-clients'],
  // Effects on the process, and TLS settings that need certificates.
  ...['oom-score-adj', 'watchdog-period', 'activedefrag', 'tls-replication', 'tls-cluster'],
  // We refuse what would damage nodes.conf.
  'cluster-announce-ip',
])

const SPECIAL: readonly (readonly [name: string, values: readonly string[]])[] = [
  ['maxmemory', ['1k', '1mB', '1t', '1b', '1 mb', '+1', 'k', 'b', '18446744073709551616', '99999999999gb', '0']],
  ['maxmemory-clients', ['1%', '0%', '100%', '101%', '-1%', '5mb', '1%%', '+5%', '007%', '0']],
  ['save', ['900 1', '900 1 300', '900', '0 1', '1 -1', '900 0', '900 1 900 2', '1 1 ', ' 1  1', '900 1 ""', '']],
  [
    'client-output-buffer-limit',
    [
      'normal 1mb 2k 3',
      'foo 1 2 3',
      'normal 1 2',
      'normal -1 2 3',
      'normal 1 2 -3',
      'NORMAL 1 2 3',
      'master 1 2 3',
    ].concat(['replica 1 2 3', 'slave 4 5 6 normal 0 0 0', 'normal 1 2 3 normal 4 5 6', '']),
  ],
  [
    'notify-keyspace-events',
    ['KEA', 'Kg$', 'mn', 'nmA', 'g$lshztxed', 'g$lshztxe', 'KExe', 'td', 'AKEm', 'q', 'K E', 'KKEE', ''],
  ],
  ['oom-score-adj-values', ['1 2 3', '1 2', '-2001 1 2', '3 2 1', 'a b c', '1 2 3 4', '']],
  [
    'latency-tracking-info-percentiles',
    ['50', '100.1', '-1', '50 x', '99.999', '0.0001', '1e1', 'nan', 'inf', '12.3456789', '5  6', ''],
  ],
  ['shutdown-on-sigterm', ['save now', 'now save', 'SAVE', 'save nosave', 'default save', 'save save', 'x', '']],
  ['proc-title-template', ['{title}', '{foo}', '{title', 'x{port}', '{listen-addr}', '{unixsocket}', 'a']],
  ['cluster-announce-hostname', ['a b', 'a_b', 'a.b-c', 'x'.repeat(255), 'x'.repeat(256), '']],
  ['hz', ['0', '1000', '-1', '20', '10']],
  ['masterauth', ['a\nb', '\u0001"', '\\', '']],
  ['dir', ['/', '/nonexistent-folder']],
  ['dbfilename', ['x', 'a/b', 'a\\b']],
]

/** The test client speaks latin1 unless it is given bytes. */
const bytes = (text: string): Buffer => Buffer.from(text)

/** What CONFIG SET answers on our side. */
const setOurs = (config: Config, pairs: readonly (readonly [string, string])[]): string => {
  const refusal = config.set(pairs, { setProtected: true })
  return refusal === undefined ? 'OK' : `ERR ${refusal}`
}

scenarios('the configuration beside redis-server', ['redis'], () => {
  let port: number
  let ours: Config

  before(async () => {
    port = await freePort()
    await startServer({ kind: 'redis', port, confFile: `port ${port}\nenable-protected-configs yes\n` })
    ours = createConfig()
    ours.assign('port', String(port))
    ours.assign('enable-protected-configs', 'yes')
    ours.assign('dir', (await theirs('dir'))!)
  })

  const theirs = async (name: string): Promise<string | undefined> =>
    ((await ask(port, 'CONFIG', 'GET', name)) as string[])[1]

  it('lists the same names with the same defaults', async () => {
    const flat = (await ask(port, 'CONFIG', 'GET', '*')) as string[]
    const expected = flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1]]] : []))
    const known = ours.get('*').filter(([name]) => !NEWER.includes(name))
    assert.deepEqual(Object.fromEntries(known), Object.fromEntries(expected))
    assert.equal(ours.get('*').length, expected.length + NEWER.length)
  })

  it('keeps the hidden ones hidden, with the same defaults', async () => {
    const names = ['rdb-key-save-delay', 'key-load-delay', 'loading-process-events-interval-bytes', 'watchdog-period']
    for (const name of [...names, 'use-exit-on-panic', 'lua-enable-deprecated-api']) {
      assert.deepEqual(ours.get(`${name.slice(0, -1)}?`), [])
      assert.equal(ours.get(name)[0]?.[1], await theirs(name), name)
    }
  })

  it('finds names by the same patterns', async () => {
    const patterns = [['PORT'], ['port', 'PORT'], ['por*', 'port'], ['*-priority'], ['P?RT'], ['p\\ort'], ['nothing']]
    for (const pattern of [...patterns, ['slave-*', 'hz', '[hH]z'], ['KEY-LOAD-DELAY'], ['*cpulist']]) {
      const sort = (pairs: [string, string][]) => pairs.map(([name, value]) => `${name}=${value}`).sort()
      const flat = (await ask(port, 'CONFIG', 'GET', ...pattern)) as string[]
      const expected = flat.flatMap((name, i): [string, string][] => (i % 2 === 0 ? [[name, flat[i + 1]!]] : []))
      assert.deepEqual(sort(ours.get(...pattern)), sort(expected), pattern.join(' '))
    }
  })

  it('answers CONFIG SET of any directive with the same text, and keeps the same value', async () => {
    for (const [name, first] of ours.get('*')) {
      if (NEWER.includes(name) || UNTRIED.has(name)) continue
      for (const value of VALUES) {
        const expected = await outcome(port, 'CONFIG', 'SET', name, value)
        assert.equal(setOurs(ours, [[name, value]]), expected, `${name} ${value}`)
        assert.equal(ours.get(name)[0]![1], await theirs(name), `${name} after ${value}`)
      }
      await outcome(port, 'CONFIG', 'SET', name, first)
      ours.set([[name, first]], { setProtected: true })
    }
  })

  for (const [name, values] of SPECIAL)
    it(`reads ${name} the same way`, async () => {
      const first = ours.get(name)[0]![1]
      for (const value of values) {
        const expected = await outcome(port, 'CONFIG', 'SET', name, value)
        assert.equal(setOurs(ours, [[name, value]]), expected, value)
        assert.equal(ours.get(name)[0]![1], await theirs(name), `after ${value}`)
      }
      await outcome(port, 'CONFIG', 'SET', name, first)
      ours.set([[name, first]], { setProtected: true })
    })

  it('objects to several pairs in the same order', async () => {
    const requests = [
      ['foo', '1'],
      ['port2', '1', 'daemonize', 'yes'],
      ['daemonize', 'yes', 'foo', '1'],
      ['HZ', 'zzz'],
      ['Daemonize', 'yes'],
      ['hz', '10', 'HZ', '20'],
      ['slave-priority', '1', 'replica-priority', '2'],
      ['slave-priority', 'abc'],
      ['hz', 'zzz', 'daemonize', 'yes'],
      ['hz', 'zzz', 'hz', '10'],
      ['daemonize', 'yes', 'hz', '1', 'hz', '2'],
      ['hz', '11', 'timeout', 'abc'],
    ]
    for (const words of requests) {
      const pairs = words.flatMap((word, i) => (i % 2 === 0 ? [[word, words[i + 1]!] as const] : []))
      assert.equal(setOurs(ours, pairs), await outcome(port, 'CONFIG', 'SET', ...words), words.join(' '))
    }
    for (const name of ['hz', 'replica-priority', 'timeout']) assert.equal(ours.get(name)[0]![1], await theirs(name))
  })
})

/** Files that redis-server refuses, without their first line, which sets the port. */
const REFUSED = [
  'foo bar',
  '# comment\n\nhz 10 20',
  'hz',
  'hz zzz',
  'bind "127.0.0.1',
  '  HZ   abc  ',
  'include',
  'save 900',
  'save 900 1 300',
  'save "" 900',
  'loglevel bogus',
  'rename-command get',
  'user',
  'replicaof a',
  'replicaof a b',
  'replicaof a 70000',
  'replicaof 1 2\ncluster-enabled yes',
  'dir /nonexistent-folder',
  'sentinel x',
  'client-output-buffer-limit foo 1 2 3',
  'client-output-buffer-limit normal 1 2',
  'port 99999',
  'list-max-ziplist-entries 5\nfoo',
  'list-max-ziplist-entries 5 6',
  'unixsocketperm 999',
  'unixsocketperm 1777',
  'logfile /nonexistent-folder/x',
  'maxmemory 1x',
  'appendfilename a/b',
  "appendfilename ''",
  'appenddirname a/b',
  'dbfilename a/b',
  'databases 0',
  'tcp-backlog -1',
  'io-threads 0',
  'supervised x',
  'syslog-facility x',
  'enable-debug-command x',
  'cluster-port 70000',
  'socket-mark-id -1',
  "x'y z",
  'masterauth "a"b',
  'oom-score-adj-values 1 2',
  'notify-keyspace-events',
  'notify-keyspace-events K E',
  'shutdown-on-sigterm',
  'cluster-announce-hostname a_b',
]

/** A file with everything that a rewrite has to find its way through. */
const LIVELY = `# head comment

# two blanks follow


save 900 1
save 300 10
include more.conf
slave-read-only no
repl-backlog-size 1mb
maxmemory 100mb
client-output-buffer-limit replica 256mb 64mb 60
client-output-buffer-limit pubsub 1 2 3
rename-command get getx
rename-command keys ""
bind 127.0.0.1 -::1
loglevel verbose
logfile ""
pidfile ""
hz 10
hz 20
notify-keyspace-events KEA
dir .
timeout 0
unixsocketperm 700
maxmemory-clients 5%
oom-score-adj-values 1 2 3
latency-tracking-info-percentiles 50 90.5
shutdown-on-sigterm save now
list-max-ziplist-entries 5
masterauth 'x"\\y'
   tcp-keepalive    60   \t
#timeout 5
aclfile ""
cluster-announce-hostname ""
syslog-ident redis
ignore-warnings ""
bind-source-addr ""
requirepass ""
unixsocket ""
server_cpulist ""
tls-cert-file ""
tls-protocols ""
proc-title-template "{title} x"
enable-protected-configs yes
set-max-intset-entries 512
stream-node-max-bytes 4kb
`

const CHANGES: readonly (readonly [string, string])[][] = [
  [],
  [
    ['appendfsync', 'always'],
    ['zset-max-ziplist-value', '1gb'],
    ['stream-node-max-bytes', '3kb'],
    ['acllog-max-len', '5'],
  ],
  [
    ['save', ''],
    ['client-output-buffer-limit', 'slave 268435456 67108864 60 pubsub 33554432 8388608 60'],
    ['masterauth', ''],
    ['notify-keyspace-events', ''],
    ['maxmemory-clients', '0'],
    ['latency-tracking-info-percentiles', ''],
    ['hz', '10'],
    ['maxmemory', '1025'],
    ['cluster-announce-hostname', 'foo'],
    ['masteruser', 'caf\u00e9 "x"\n'],
  ],
  [
    ['save', '1 2 3 4 5 6'],
    ['bind-source-addr', '127.0.0.1'],
    ['shutdown-on-sigterm', 'default'],
    ['oom-score-adj-values', '0 200 800'],
  ],
]

scenarios('configuration files beside redis-server', ['redis'], () => {
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'rookery-config-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const reportOf = (args: readonly string[]): string => {
    try {
      configFromArguments(args, () => '', folder)
    } catch (error) {
      if (error instanceof ConfigError) return error.report
      throw error
    }
    return ''
  }
  /** Theirs does not say which file it was. */
  const withoutFile = (report: string): string => report.replace(/(at line \d+) of .*/, '$1')

  it('refuses the same files with the same words', async () => {
    const first = `port ${await freePort()}`
    for (const text of REFUSED) {
      writeFileSync(join(folder, 'redis.conf'), `${first}\n${text}\n`)
      const run = spawnSync('redis-server', ['redis.conf'], { cwd: folder, encoding: 'utf8', timeout: 5000 })
      assert.equal(run.status, 1, `${text}: ${run.stdout}`)
      assert.equal(withoutFile(reportOf(['redis.conf'])), run.stderr, text)
    }
  })

  it('rewrites a file to the same text', async () => {
    for (const changes of CHANGES) {
      const port = await freePort()
      const text = `port ${port}\n${LIVELY}`
      writeFileSync(join(folder, 'more.conf'), 'timeout 7\n')
      writeFileSync(join(folder, 'redis.conf'), text)
      const ours = configFromArguments(['redis.conf'], () => '', folder)
      assert.equal(ours.set(changes), undefined)
      assert.equal(ours.rewrite(), undefined)
      const theirs = await prepareServer({ kind: 'redis', port, confFile: text })
      writeFileSync(join(theirs.dir, 'more.conf'), 'timeout 7\n')
      await theirs.start()
      if (changes.length > 0) assert.equal(await outcome(port, 'CONFIG', 'SET', ...changes.flat().map(bytes)), 'OK')
      assert.equal(await outcome(port, 'CONFIG', 'REWRITE'), 'OK')
      assert.deepEqual(comparable(folder), comparable(theirs.dir))
      await theirs.remove()
    }
  })

  it('writes a file that redis-server reads as we meant it', async () => {
    const port = await freePort()
    const server = await prepareServer({ kind: 'redis', port, confFile: `port ${port}\n` })
    const config = configFromArguments(['redis.conf'], () => '', server.dir)
    const password = 'caf\u00e9 "x"\n\\ \'y\' \u0001'
    const pairs: [string, string][] = [
      ['masterauth', password],
      ['save', '10 20 30 40'],
      ['notify-keyspace-events', 'Kg$'],
      ['client-output-buffer-limit', 'pubsub 1gb 1500 7'],
      ['maxmemory-clients', '12%'],
    ]
    assert.equal(config.set(pairs), undefined)
    assert.equal(config.rewrite(), undefined)
    await server.start()
    for (const [name, value] of config.get(...pairs.map(([name]) => name)))
      assert.equal(await outcome(port, 'CONFIG', 'GET', name), `${name},${bytes(value).toString('latin1')}`)
    await server.remove()
  })
})

/** A rewritten file: what stands above the signature as it is, the added lines in any order, as redis-server draws it.
 *  Users are left out: with ours the access lists hand their lines in. */
function comparable(folder: string): { head: string; added: string[] } {
  const text = readFileSync(join(folder, 'redis.conf'), 'utf8').replace(`dir "${folder}"`, 'dir HERE')
  const [head = '', tail = ''] = text.split('# Generated by CONFIG REWRITE\n')
  const added = tail.split('\n').filter((line) => line !== '' && !line.startsWith('user '))
  return { head: head.trimEnd(), added: added.sort() }
}
