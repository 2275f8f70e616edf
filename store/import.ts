/** What a redis-server has left in a folder: its append-only files, old or new, or a dump. Found and named here, in the order in which
 *  they are to be read; none of it is ever changed. */
import { join } from 'node:path'
import { type Disk, slicesOf } from './disk.ts'
import { type RdbItem, RdbReader } from './rdb/reader.ts'
import type { Limits } from './rdb/types.ts'

/** The names redis-server gives its files. */
export interface ForeignNames {
  readonly dbfilename: string
  readonly appenddirname: string
  readonly appendfilename: string
}

/** Files to be read one after the other. */
export interface Foreign {
  readonly type: 'append-only files' | 'dump'
  readonly files: readonly string[]
}

/** A foreign file cannot be understood; the message names it. */
export class ImportError extends Error {}

/** The data set a redis-server would load from `dir`: with `appendOnly` its append-only files if there are any, otherwise the dump. Throws
 *  ImportError. */
export function findForeign(disk: Disk, dir: string, names: ForeignNames, appendOnly: boolean): Foreign | undefined {
  const present = disk.list(dir)
  const folder = join(dir, names.appenddirname)
  const manifest = `${names.appendfilename}.manifest`
  if (appendOnly && disk.list(folder).includes(manifest)) {
    const files = readManifest(textOf(disk, join(folder, manifest)), join(folder, manifest))
    return { type: 'append-only files', files: files.map((name) => join(folder, name)) }
  }
  if (appendOnly && present.includes(names.appendfilename))
    return { type: 'append-only files', files: [join(dir, names.appendfilename)] }
  return present.includes(names.dbfilename) ? { type: 'dump', files: [join(dir, names.dbfilename)] } : undefined
}

/** `file <name> seq <n> type <b|i|h>`: the base, increments, and history that is about to be removed. */
const LINE = /^file (?:"((?:[^"\\]|\\.)+)"|(\S+)) seq (\d+) type ([bih])$/

function readManifest(text: string, path: string): string[] {
  const files: { name: string; seq: number; type: string }[] = []
  for (const raw of text.split('\n')) {
    const line = raw.trimEnd()
    if (line === '' || line.startsWith('#')) continue
    const [, quoted, plain, seq, type] = LINE.exec(line) ?? []
    const name = quoted?.replaceAll(/\\(.)/g, '$1') ?? plain
    if (name === undefined || /[/\\]/.test(name) || type === undefined)
      throw new ImportError(`${path}: the line ${JSON.stringify(line)} is none of a manifest`)
    files.push({ name, seq: Number(seq), type })
  }
  const base = files.filter(({ type }) => type === 'b')
  const increments = files.filter(({ type }) => type === 'i').sort((one, other) => one.seq - other.seq)
  if (base.length > 1) throw new ImportError(`${path}: it names more than one base`)
  return [...base, ...increments].map(({ name }) => name)
}

function textOf(disk: Disk, path: string): string {
  const file = disk.open(path, 'read')
  try {
    const bytes = Buffer.alloc(file.size)
    return bytes.toString('utf8', 0, file.read(bytes, 0))
  } finally {
    file.close()
  }
}

/** What a foreign file consists of: items of a dump, then commands of a stream. Either may be missing. */
export type ForeignPart =
  | { readonly type: 'item'; readonly item: RdbItem }
  | { readonly type: 'stream'; readonly bytes: Buffer }

const MAGIC = 'REDIS'

/** Reads one foreign file, while the event loop goes on. `limits`: how far collections stay packed. Throws RdbError, and ImportError for a dump that ends too early. */
export async function* readForeign(disk: Disk, path: string, limits: Limits): AsyncGenerator<ForeignPart, void> {
  let reader: RdbReader | undefined
  let isFirst = true
  for await (const slice of slicesOf(disk, path)) {
    if (isFirst && slice.latin1Slice(0, MAGIC.length) === MAGIC) reader = new RdbReader(limits)
    isFirst = false
    if (reader === undefined) {
      yield { type: 'stream', bytes: slice }
      continue
    }
    for (const item of reader.feed(slice)) yield { type: 'item', item }
    if (!reader.done) continue
    const bytes = reader.rest()
    reader = undefined
    if (bytes.length > 0) yield { type: 'stream', bytes }
  }
  if (reader !== undefined) throw new ImportError(`${path} ends in the middle of its dump`)
}
