/** CONFIG as a client speaks it. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { millis } from '../../lib/base/brand.ts'
import { createLog } from '../../lib/base/log.ts'
import { configContainer } from '../../lib/commands/config.ts'
import { CommandTable } from '../../lib/commands/table.ts'
import { type Config, configFromArguments } from '../../lib/config.ts'
import { ClientError } from '../../lib/errors.ts'
import { argvOf } from '../../lib/resp/argv.ts'
import { Reply } from '../../lib/resp/reply.ts'
import type { Call } from '../../lib/server/call.ts'
import { ServerStats } from '../../lib/server/stats.ts'

describe('CONFIG', () => {
  let folder: string
  let config: Config
  let lines: string[]
  const commands = new CommandTable([[configContainer]])
  const stats = new ServerStats()

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'rookery-config-'))
    writeFileSync(join(folder, 'redis.conf'), 'enable-protected-configs local\nhz 12\n')
    config = configFromArguments(['redis.conf'], () => '', folder)
    lines = []
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  /** The reply to one request, as text. */
  function answer(words: readonly string[], address = '127.0.0.1:5'): string {
    const reply = new Reply()
    const argv = argvOf(words)
    const log = createLog({
      pid: 1,
      now: () => millis(0),
      sink: (line) => lines.push(line.slice(line.indexOf('.') + 5)),
    })
    const entry = commands.find(argv)!
    // CONFIG asks nothing else of its call.
    const keyspace = { resetStats() {} }
    const server = { config, log, stats, commands, keyspace, acl: { lines: [] } }
    const call = { server, client: { address }, reply } as unknown as Call
    try {
      entry.command.run!(call, argv)
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      return `-${error.text}`
    }
    const chunks: Buffer[] = []
    reply.take((bytes) => chunks.push(Buffer.from(bytes)) > 0)
    return Buffer.concat(chunks).toString()
  }

  it('GET answers names and values', () => {
    assert.equal(answer(['CONFIG', 'GET', 'hz']), '*2\r\n$2\r\nhz\r\n$2\r\n12\r\n')
    assert.equal(answer(['config', 'get', 'none', 'non?']), '*0\r\n')
  })

  it('SET takes pairs, in UTF-8', () => {
    assert.equal(answer(['CONFIG', 'SET', 'hz', '20', 'requirepass', 'caf\u00e9']), '+OK\r\n')
    assert.equal(config.values.requirepass, 'caf\u00e9')
    assert.equal(answer(['CONFIG', 'SET', 'hz', '1', 'port']), '-ERR syntax error')
    assert.equal(
      answer(['CONFIG', 'SET', 'port2', '1']),
      "-ERR Unknown option or number of arguments for CONFIG SET - 'port2'",
    )
  })

  it('SET of a protected directive is for whom the owner allows it', () => {
    const words = ['CONFIG', 'SET', 'dbfilename', 'x.rdb']
    assert.match(answer(words, '192.0.2.1:7'), /can't set protected config/)
    assert.equal(answer(words, '[::1]:7'), '+OK\r\n')
  })

  it('SET says in the log what it has no effect for', () => {
    answer(['CONFIG', 'SET', 'activedefrag', 'yes'])
    assert.deepEqual(lines, ['* activedefrag: accepted for compatibility, has no effect here'])
  })

  it('REWRITE writes the file', () => {
    answer(['CONFIG', 'SET', 'hz', '20'])
    assert.equal(answer(['CONFIG', 'REWRITE']), '+OK\r\n')
    assert.match(readFileSync(join(folder, 'redis.conf'), 'utf8'), /^hz 20$/m)
    config.file = undefined
    assert.equal(answer(['CONFIG', 'REWRITE']), '-ERR The server is running without a config file')
    assert.deepEqual(lines, [
      '* CONFIG REWRITE executed with success.',
      '# CONFIG REWRITE failed: The server is running without a config file',
    ])
  })

  it('RESETSTAT sets the counters back, those of subcommands too', () => {
    const get = commands.get('config|get')!
    get.stats.calls = 5
    stats.commands = 9
    assert.equal(answer(['CONFIG', 'RESETSTAT']), '+OK\r\n')
    assert.equal(get.stats.calls, 0)
    assert.equal(stats.commands, 0)
  })

  it('HELP lists what there is', () => {
    assert.match(answer(['CONFIG', 'HELP']), /^\*11\r\n\+CONFIG <subcommand> .*\r\n\+GET <pattern>\r\n/)
  })
})
