/** Configuration files and command lines: line syntax, includes, what counts later, what stops the start, and writing back. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { readCommandLine } from '../../lib/config/load.ts'
import { quote } from '../../lib/config/quote.ts'
import { type Config, ConfigError, configFromArguments, createConfig, loadConfigFile } from '../../lib/config.ts'
import { splitInline } from '../../lib/resp/inline.ts'

describe('a configuration file', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'rookery-config-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const file = (name: string, text: string): void => writeFileSync(join(folder, name), text)
  const start = (...args: string[]): Config => configFromArguments(args, () => 'hz 33\n', folder)
  const load = (text: string): Config => {
    const config = createConfig(folder)
    loadConfigFile(config, text, 'redis.conf')
    return config
  }
  const reportOf = (attempt: () => unknown): string => {
    try {
      attempt()
    } catch (error) {
      if (error instanceof ConfigError) return error.report
      throw error
    }
    return assert.fail('was accepted')
  }

  it('has comments, blanks and names in any case', () => {
    const config = load('# all\n\n  \t\r\n  PORT \t 7000 \r\nLogLevel\tdebug')
    assert.equal(config.values.port, 7000)
    assert.equal(config.values.loglevel, 'debug')
  })

  it('has quotes with escapes, and single quotes without', () => {
    assert.equal(load(String.raw`requirepass "a\x41\n\"\\"`).values.requirepass, 'aA\n"\\')
    assert.equal(load(String.raw`requirepass 'a\n\'b'`).values.requirepass, "a\\n'b")
    assert.equal(load('logfile ""').values.logfile, '')
    assert.equal(load("logfile ''").values.logfile, '')
  })

  it('reads back whatever text a rewrite quotes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const words = splitInline(Buffer.from(quote(text)))
        assert.deepEqual(words?.map(String), [Buffer.from(text).toString()])
      }),
    )
  })

  it('adds save lines up, after the first replaced the default', () => {
    assert.deepEqual(load('save 900 1\nsave 60 5 30 7').get('save'), [['save', '900 1 60 5 30 7']])
    assert.deepEqual(load('save 900 1\nsave ""\nsave 5 5').get('save'), [['save', '5 5']])
    assert.deepEqual(load('save "900 1"').get('save'), [['save', '900 1']])
  })

  it('changes the client classes it names', () => {
    const config = load('client-output-buffer-limit normal 1mb 2mb 3\nclient-output-buffer-limit slave 1 2 3')
    assert.deepEqual(config.values.clientOutputBufferLimit.normal, { hard: 2 ** 20, soft: 2 ** 21, softSeconds: 3 })
    assert.deepEqual(config.values.clientOutputBufferLimit.replica, { hard: 1, soft: 2, softSeconds: 3 })
    assert.equal(config.values.clientOutputBufferLimit.pubsub.softSeconds, 60)
  })

  it('keeps renamed commands and users for those who know them', () => {
    const config = load('rename-command FLUSHALL ""\nrename-command get G\nuser alice on >secret ~*\nuser default off')
    assert.deepEqual(config.renames, [
      ['flushall', ''],
      ['get', 'g'],
    ])
    assert.deepEqual(config.users, [
      ['alice', 'on', '>secret', '~*'],
      ['default', 'off'],
    ])
  })

  it('accepts what Valkey and its tools write into files', () => {
    const config = load(
      'enable-debug-assert yes\nhide-user-data-from-log no\ncluster-ping-interval 100\ncluster-blacklist-ttl 5\n' +
        'primaryauth x\nprimaryuser y\nshutdown-on-sigterm force\ncluster-announce-human-nodename n1',
    )
    assert.equal(config.values.clusterPingInterval, 100)
    assert.equal(config.values.masterauth, 'x')
    assert.equal(config.values.masteruser, 'y')
  })

  it('includes files relative to the working folder so far', () => {
    mkdirSync(join(folder, 'sub'))
    file('sub/more.conf', 'timeout 7\n')
    file('redis.conf', 'timeout 5\ndir sub\ninclude more.conf\n')
    assert.equal(start('redis.conf').values.timeout, 7)
  })

  it('includes all files a pattern matches, in order, or none', () => {
    file('a1.conf', 'timeout 1\n')
    file('a2.conf', 'timeout 2\n')
    assert.equal(load('include a*.conf').values.timeout, 2)
    assert.equal(load('include b*.conf').values.timeout, 0)
  })

  it('does not start without an included file, or with one that includes itself', () => {
    assert.match(
      reportOf(() => load('hz 5\ninclude none.conf')),
      /at line 2 of redis.conf\n>>> 'include none.conf'\nFatal error, can't open config file '.*none.conf': No such file/,
    )
    file('loop.conf', 'include loop.conf\n')
    assert.match(
      reportOf(() => load('include loop.conf')),
      /nested too deeply/,
    )
  })

  it('says file, line and reason of what it does not understand', () => {
    file('more.conf', 'hz 5\nfoo bar\n')
    file('redis.conf', '# first\ninclude more.conf\n')
    assert.equal(
      reportOf(() => start('redis.conf')),
      '\n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\n' +
        `Reading the configuration file, at line 2 of ${join(folder, 'more.conf')}\n` +
        ">>> 'foo bar'\nBad directive or wrong number of arguments\n",
    )
  })

  it('is not looked up in what every object has', () => {
    for (const name of ['constructor', '__proto__', 'toString'])
      assert.match(
        reportOf(() => load(`${name} 1`)),
        /Bad directive/,
      )
  })

  it('does not start with what cannot be kept', () => {
    assert.match(
      reportOf(() => load('loadmodule /m.so')),
      /modules are native code/,
    )
  })

  it('does not start when the bus port would be out of range', () => {
    assert.match(
      reportOf(() => start('--port', '60000', '--cluster-enabled', 'yes')),
      /port number too high/,
    )
    assert.equal(start('--port', '60000', '--cluster-enabled', 'yes', '--cluster-port', '7').values.port, 60000)
    assert.equal(start('--port', '60000').values.port, 60000)
  })

  it('does not start when the file is missing', () => {
    assert.match(
      reportOf(() => start('none.conf')),
      /can't open config file '.*none.conf': No such file or directory\n$/,
    )
  })

  it('gives way to standard input, and that to the command line', () => {
    file('redis.conf', 'hz 11\ntimeout 3\n')
    assert.equal(start('redis.conf').values.hz, 11)
    assert.equal(start('redis.conf', '-').values.hz, 33)
    assert.equal(start('redis.conf', '--hz', '44', '-').values.hz, 44)
    assert.equal(start('redis.conf', '--hz', '44', '-').values.timeout, 3)
    assert.equal(start('-').values.hz, 33)
  })

  it('is written back with comments and places kept, so that the next start finds the same', () => {
    file('redis.conf', '# mine\nport 7000\n\nsave 900 1\nsave 60 1\ninclude more.conf\n')
    file('more.conf', 'timeout 9\n')
    const config = start('redis.conf', '--maxmemory', '2gb')
    config.set([
      ['save', '5 5'],
      ['requirepass', 'a "b" \n'],
    ])
    assert.equal(config.rewrite(['alice on nopass']), undefined)
    assert.equal(
      readFileSync(join(folder, 'redis.conf'), 'utf8'),
      '# mine\nport 7000\n\nsave 5 5\n\ninclude more.conf\n# Generated by CONFIG REWRITE\ntimeout 9\n' +
        `dir "${folder}"\nrequirepass "a \\"b\\" \\n"\nmaxmemory 2gb\nuser alice on nopass\n`,
    )
    const again = start('redis.conf')
    assert.deepEqual(again.get('*'), config.get('*'))
    assert.deepEqual(again.users, [['alice', 'on', 'nopass']])
  })

  it('comes back the same from any rewrite, and settles', () => {
    const change = fc.constantFrom<[string, string]>(
      ['save', ''],
      ['save', '1 2 3 4'],
      ['client-output-buffer-limit', 'replica 1gb 1500 9'],
      ['notify-keyspace-events', 'KEA'],
      ['maxmemory', '3mb'],
      ['maxmemory-clients', '7%'],
      ['hz', '77'],
      ['bind', '127.0.0.1 -::1'],
      ['masterauth', ' \\"\'é'],
      ['slowlog-max-len', '9223372036854775807'],
      ['shutdown-on-sigint', 'now nosave'],
      ['oom-score-adj-values', '1 2 3'],
      ['latency-tracking-info-percentiles', ''],
    )
    const line = fc.constantFrom('# note', '', 'hz 3', 'save 7 7', 'save 8 8', 'slave-priority 5', 'masterauth x')
    fc.assert(
      fc.property(fc.array(line), fc.array(change), (lines, changes) => {
        file('redis.conf', lines.join('\n'))
        const config = start('redis.conf')
        for (const pair of changes) assert.equal(config.set([pair]), undefined)
        assert.equal(config.rewrite(), undefined)
        const again = start('redis.conf')
        assert.deepEqual(again.get('*'), config.get('*'))
        // The second one may still put the lines of one directive into their own order, as on a real server.
        assert.equal(again.rewrite(), undefined)
        const text = readFileSync(join(folder, 'redis.conf'), 'utf8')
        assert.equal(again.rewrite(), undefined)
        assert.equal(readFileSync(join(folder, 'redis.conf'), 'utf8'), text)
      }),
      { numRuns: 50 },
    )
  })

  it('cannot be written back when there is none', () => {
    assert.equal(createConfig().rewrite(), 'The server is running without a config file')
  })

  it('stays as it is when it cannot be written back', () => {
    file('redis.conf', 'hz 5\n')
    const config = start('redis.conf')
    mkdirSync(join(folder, 'redis.conf.tmp'))
    assert.match(config.rewrite()!, /^Rewriting config file: Illegal operation on a directory$/)
    assert.equal(readFileSync(join(folder, 'redis.conf'), 'utf8'), 'hz 5\n')
  })

  it('finds out at once that the log cannot be written', () => {
    assert.match(
      reportOf(() => start('--logfile', '/nonexistent-folder/log')),
      /Can't open the log file: No such file or directory/,
    )
    start('--logfile', 'log.txt')
    assert.ok(existsSync(join(folder, 'log.txt')))
  })

  it('does not enter a folder it must not', function () {
    if (process.getuid?.() === 0 || process.platform === 'win32') this.skip()
    mkdirSync(join(folder, 'closed'))
    chmodSync(join(folder, 'closed'), 0o600)
    assert.match(
      reportOf(() => load('dir closed')),
      /Permission denied/,
    )
  })
})

/** Seen on redis-server 7.0.15. */
describe('a command line', () => {
  const cases: readonly (readonly [args: readonly string[], text: string])[] = [
    [[], ''],
    [['--port', '7000'], 'port "7000"'],
    [['--port 7000'], 'port 7000'],
    [['--save', '900', '1', '--hz', '5'], 'save "900" "1"\nhz "5"'],
    [['--save', ''], 'save ""'],
    [['--save'], 'save ""'],
    [['--save', '--hz', '5'], 'save ""\nhz "5"'],
    [['--masterauth', '--x'], 'masterauth "--x"'],
    [['--timeout', '--loglevel', 'debug'], 'timeout "--loglevel" "debug"'],
    [['--hz'], 'hz'],
    [['--hz "15"', '--hz 16'], 'hz "15"\nhz 16'],
    [['--requirepass', 'a b"c'], 'requirepass "a b\\"c"'],
  ]
  for (const [args, text] of cases)
    it(`reads ${JSON.stringify(args.join(' '))}`, () => {
      assert.deepEqual(readCommandLine(args), { file: undefined, stdin: false, text })
      assert.deepEqual(readCommandLine(['redis.conf', ...args]), { file: 'redis.conf', stdin: false, text })
    })

  it('has standard input first or last', () => {
    assert.equal(readCommandLine(['-', '--hz', '5']).stdin, true)
    assert.equal(readCommandLine(['redis.conf', '--hz', '5', '-']).stdin, true)
    assert.deepEqual(readCommandLine(['redis.conf', '-', '--hz', '5']), {
      file: 'redis.conf',
      stdin: false,
      text: '"-"\nhz "5"',
    })
  })

  it('is named in errors', () => {
    const attempt = (): Config => configFromArguments(['--hz', '5', '--foo', 'bar'], () => '')
    assert.throws(attempt, { message: /^the command line:2: foo "bar": Bad directive/ })
  })
})
