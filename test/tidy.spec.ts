/** The code about itself: who imports whom, where I/O may be, how large files and functions grow. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = findRoot()

/** Folders (or files) on the left may import values from those on the right, and from themselves. Types may come from
 *  anywhere inside lib, because they vanish. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'lib/base': [],
  'lib/errors.ts': [],
  bus: ['lib/base'],
  store: ['lib/base'],
  'lib/resp': ['lib/base', 'lib/errors.ts'],
  'lib/config': ['lib/base', 'lib/resp'],
  'lib/config.ts': ['lib/config', 'lib/base', 'store/nodes-file.ts'],
  'lib/commands': [
    'store',
    'lib/resp',
    'lib/base',
    'lib/errors.ts',
    'bus/view.ts',
    'bus/why.ts',
    'lib/migrate',
    'lib/replication',
    'lib/script',
    'lib/server',
  ],
  'lib/script': ['lib/resp', 'lib/base', 'lib/errors.ts', 'lib/commands/keys.ts', 'lib/server'],
  'lib/migrate': [
    'store',
    'lib/resp',
    'lib/base',
    'lib/errors.ts',
    'lib/client',
    'lib/commands/keys.ts',
    'lib/commands/args.ts',
  ],
  'lib/replication': ['store', 'lib/resp', 'lib/base', 'lib/errors.ts', 'lib/client'],
  'lib/server': [
    'lib/config/quote.ts',
    'lib/commands',
    'lib/resp',
    'lib/base',
    'lib/errors.ts',
    'store',
    'bus/view.ts',
    'lib/migrate/locks.ts',
    'lib/replication',
    'lib/script',
    'lib/config.ts',
  ],
  'lib/client': ['lib/resp', 'lib/base'],
  'lib/persistence': [
    'store',
    'lib/base',
    'lib/resp',
    'lib/replication',
    'lib/server/machine.ts',
    'lib/server/version.ts',
  ],
  'lib/persistence.ts': ['store', 'lib/base', 'lib/errors.ts', 'lib/persistence'],
  'lib/admin': ['lib/client', 'lib/resp', 'lib/base', 'bus/view.ts'],
  'lib/cli': [
    'lib/admin',
    'lib/client',
    'lib/resp',
    'lib/base',
    'lib/config.ts',
    'lib/node.ts',
    'lib/server/listener.ts',
    'bus/sim',
  ],
  'lib/cron.ts': ['lib/base', 'store/expire.ts', 'lib/driver.ts', 'lib/lookout.ts', 'lib/server'],
  'lib/lookout.ts': [],
  'lib/driver.ts': ['bus', 'store', 'lib/base', 'lib/resp', 'lib/purge.ts'],
  'lib/purge.ts': ['store', 'lib/base', 'lib/resp'],
  'lib/node.ts': ['bus', 'store', 'lib'],
  'lib/index.ts': ['lib/node.ts', 'lib/config.ts', 'lib/base'],
  'lib/bin.ts': ['lib/cli'],
}

/** Where the world may be touched. Elsewhere nobody reads a clock, draws a number, sets a timer or opens anything. */
const IO_FILES: readonly string[] = [
  'bus/transport.ts',
  'store/disk.ts',
  'store/nodes-file.ts',
  'store/file-lock.ts',
  'lib/base/clock.ts',
  'lib/base/log.ts',
  'lib/base/random.ts',
  'lib/script/lua-module.ts',
  'lib/server/listener.ts',
  'lib/replication/dial.ts',
  'lib/migrate/connection.ts',
  'lib/client/connection.ts',
  'lib/config.ts',
  'lib/cron.ts',
  'lib/lookout.ts',
  'lib/node.ts',
  'lib/bin.ts',
  'lib/cli/',
]
const IO =
  /^import (?!type )[^'";]*from 'node:(net|tls|fs|dgram|child_process)'|\bDate\.now\(|\bMath\.random\(|\bset(Timeout|Interval|Immediate)\(/m

const MAX_FILE_LINES = 700
const MAX_FUNCTION_LINES = 70

interface Source {
  readonly file: string
  readonly text: string
}

const sources: readonly Source[] = ['lib', 'bus', 'store']
  .flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
  )
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
  .map((file) => ({ file, text: readFileSync(path.join(root, file), 'utf8') }))

describe('the code about itself', () => {
  it('has read the sources', () => assert.ok(sources.length > 50))

  it('imports only in the allowed directions', () => {
    const wrong: string[] = []
    for (const { file, text } of sources)
      for (const { target, typeOnly } of importsOf(file, text))
        if (!isAllowed(file, target, typeOnly)) wrong.push(`${file} -> ${target}`)
    assert.deepEqual(wrong, [])
  })

  it('has no cycle of value imports between folders of the ground', () => {
    for (const { file, text } of sources) {
      if (!/^(bus|store|lib\/base)\//.test(file)) continue
      for (const { target } of importsOf(file, text))
        assert.ok(!/^lib\/(?!base\/)/.test(target), `${file} imports ${target}: bus and store know only lib/base`)
    }
  })

  it('touches the world only in the named files', () => {
    const wrong = sources.filter(({ file, text }) => !isIoFile(file) && IO.test(text)).map(({ file }) => file)
    assert.deepEqual(wrong, [])
  })

  it('names no I/O file that does not exist', () => {
    const files = new Set(sources.map(({ file }) => file))
    assert.deepEqual(
      IO_FILES.filter((file) => !file.endsWith('/') && !files.has(file)),
      [],
    )
  })

  it('keeps files and functions to a size that can be read', () => {
    const wrong: string[] = []
    for (const { file, text } of sources) {
      const lines = text.split('\n')
      if (lines.length > MAX_FILE_LINES) wrong.push(`${file}: ${lines.length} lines`)
      lines.forEach((line, i) => {
        if (!/^(export )?(async )?function\*? /.test(line)) return
        const end = lines.findIndex((other, n) => n > i && other === '}')
        if (end - i > MAX_FUNCTION_LINES) wrong.push(`${file}:${i + 1}: a function of ${end - i} lines`)
      })
    }
    assert.deepEqual(wrong, [])
  })

  it('opens every file with a sentence about its noun', () => {
    const wrong = sources
      .filter(({ text }) => !/^(#!.*\n)?\/\*\*/.test(text) && !/bin\.ts$/.test(text))
      .map(({ file }) => file)
    assert.deepEqual(
      wrong.filter((file) => file !== 'lib/bin.ts'),
      [],
    )
  })
})

function findRoot(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url))
  for (;;) {
    try {
      readFileSync(path.join(folder, 'biome.json'))
      return folder
    } catch {
      const up = path.dirname(folder)
      assert.notEqual(up, folder, 'the sources are not above this file')
      folder = up
    }
  }
}

function importsOf(file: string, text: string): { target: string; typeOnly: boolean }[] {
  const found: { target: string; typeOnly: boolean }[] = []
  for (const match of text.matchAll(/^(?:import|export) (type )?(\{[^}]*\}|\* as \w+|\w+|\*) from '(\.[^']+)'/gm)) {
    const target = path.posix.join(path.posix.dirname(file), match[3]!)
    const names = match[2]!
    const typeOnly = match[1] !== undefined || /^\{(\s*type [^,}]+,?)+\s*\}\s*$/.test(names)
    found.push({ target, typeOnly })
  }
  return found
}

function isAllowed(file: string, target: string, typeOnly: boolean): boolean {
  const from = ruleOf(file)
  if (ruleOf(target) === from) return true
  if (typeOnly && file.startsWith('lib/') && !file.startsWith('lib/base')) return true
  return MAY_IMPORT[from]!.some((allowed) => target === allowed || target.startsWith(`${allowed}/`))
}

/** The most specific rule that covers a file. */
function ruleOf(file: string): string {
  const rules = Object.keys(MAY_IMPORT).filter((rule) => file === rule || file.startsWith(`${rule}/`))
  const best = rules.sort((a, b) => b.length - a.length)[0]
  assert.ok(best !== undefined, `${file} has no place in the layout: add a rule to MAY_IMPORT`)
  return best
}

function isIoFile(file: string): boolean {
  return IO_FILES.some((io) => file === io || (io.endsWith('/') && file.startsWith(io)))
}
