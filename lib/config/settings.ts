/** The configuration in force: typed values for the code, names and texts for CONFIG GET and SET.
 *  It reads no file itself; `Files` is handed in. */
import { assert } from '../base/assert.ts'
import { globMatch } from '../base/glob.ts'
import type { Directive, Reading, RewriteLine, Setting } from './directive.ts'
import { type ConfigValues, camel, DIRECTIVES, type DirectiveName } from './directives.ts'
import { rewriteText } from './rewrite.ts'

/** What the configuration asks of the file system. Paths are absolute; failures are thrown as Node throws them. */
export interface Files {
  read(path: string): Buffer
  /** As `read`; undefined when there is no such file. */
  readIfThere(path: string): Buffer | undefined
  /** Names in a folder. */
  list(folder: string): readonly string[]
  /** `path` made absolute from `base`. */
  resolve(base: string, path: string): string
  /** Why a folder cannot be entered, in strerror's words; undefined when it can. */
  refusesEntry(folder: string): string | undefined
  /** Replaces a file as a whole, or leaves it as it is. */
  replace(path: string, text: string): void
  /** What strerror says of a failure. */
  describe(failure: unknown): string
}

/** Called after a change, with the new values in force. A string refuses it: everything goes back. */
export type ChangeListener = (values: ConfigValues) => string | undefined

/** A directive under one of its names. */
interface Entry {
  readonly name: string
  readonly row: DirectiveName
}

const ROW_NAMES = Object.keys(DIRECTIVES) as DirectiveName[]

/** Forgets what the table knows about one row's type: what holds for all rows is said of `unknown`. */
const directiveOf = (row: DirectiveName): Directive<unknown> => DIRECTIVES[row]

/** Every name, aliases included, in the order of the table. */
const ENTRIES: ReadonlyMap<string, Entry> = new Map(
  ROW_NAMES.flatMap((row) => [row, ...(directiveOf(row).alias ?? [])].map((name) => [name, { name, row }] as const)),
)

/** The directive an old or a new name stands for. */
export const directiveNamed = (name: string): DirectiveName | undefined => ENTRIES.get(name)?.row

type Settings = Map<DirectiveName, Setting<unknown>>

export class Config {
  /** Updated in place: keep the object, read the property. */
  readonly values: ConfigValues
  /** Absolute path of the file the server was started with. */
  file: string | undefined
  /** `rename-command` lines, in order: from, to ('' removes the command). */
  readonly renames: [from: string, to: string][] = []
  /** The words of `user` lines after the word `user`. */
  readonly users: (readonly string[])[] = []
  readonly #files: Files
  readonly #settings: Settings = new Map()
  readonly #given = new Set<DirectiveName>()
  readonly #listeners: { readonly names: ReadonlySet<string>; readonly listener: ChangeListener }[] = []
  readonly #noticed = new Set<DirectiveName>()
  #notices: string[] = []

  constructor(files: Files, startFolder: string) {
    this.#files = files
    for (const row of ROW_NAMES) {
      const reading = this.#read(row, [directiveOf(row).default], { folder: startFolder })
      assert(typeof reading !== 'string', `default of ${row}: ${reading}`)
      this.#settings.set(row, reading)
    }
    // Made at once, so that the object keeps fast properties. Built from the table, and so is its type: hence the cast.
    this.values = Object.fromEntries(
      ROW_NAMES.map((row) => [camel(row), this.#settings.get(row)!.value]),
    ) as unknown as ConfigValues
  }

  /** Names and values, as CONFIG GET answers these patterns. A name without * ? [ is found in any case and echoed as given. */
  get(...patterns: readonly string[]): [name: string, value: string][] {
    return lookUp(patterns).map(({ name, row }) => [name, this.#settings.get(row)!.text])
  }

  /** CONFIG SET: all of the pairs or none of them. Returns what follows "ERR " in the reply of a refusal. */
  set(pairs: readonly (readonly [string, string])[], may = { setProtected: false }): string | undefined {
    const entries = examine(pairs, may.setProtected)
    if (typeof entries === 'string') return entries
    const staged: Settings = new Map()
    for (const [i, { name, row }] of entries.entries()) {
      const reading = this.#read(row, [pairs[i]![1]], { staged })
      if (typeof reading === 'string') return failedAt(name, reading)
      staged.set(row, reading)
    }
    const refused = this.#change(staged)
    if (refused === undefined) return undefined
    return failedAt(entries.find(({ row }) => row === refused.row)!.name, refused.why)
  }

  /** As a line of a file gives a directive: immutable ones too, and nobody is told. */
  give(name: string, words: readonly string[]): 'given' | 'unknown' | { readonly refusal: string } {
    const row = directiveNamed(name.toLowerCase())
    if (row === undefined) return 'unknown'
    const reading = this.#read(row, words, { repeated: this.#given.has(row) })
    if (typeof reading === 'string') return { refusal: reading }
    this.#given.add(row)
    this.#commit(new Map([[row, reading]]))
    this.#notice(row)
    return 'given'
  }

  /** Records what changed by other means than CONFIG SET (REPLICAOF sets `replicaof`). The words must be valid. */
  assign(row: DirectiveName, ...words: readonly string[]): void {
    const reading = this.#read(row, words, {})
    assert(typeof reading !== 'string', `${row}: ${reading}`)
    const refused = this.#change(new Map([[row, reading]]))
    assert(refused === undefined, `${row}: ${refused?.why}`)
  }

  /** `listener` hears of every later change to one of `names`, in the order in which listeners came. */
  onChange(names: readonly DirectiveName[], listener: ChangeListener): void {
    this.#listeners.push({ names: new Set(names), listener })
  }

  /** `path` relative to the working folder of the configuration. */
  resolve(path: string): string {
    return this.#files.resolve(this.values.dir, path)
  }

  /** CONFIG REWRITE. With `users` (what stands after the word of each `user` line) those lines are written anew.
   *  Returns what follows "ERR ". */
  rewrite(users?: readonly string[]): string | undefined {
    if (this.file === undefined) return 'The server is running without a config file'
    try {
      const old = this.#files.readIfThere(this.file)?.toString() ?? ''
      this.#files.replace(this.file, rewriteText(old, this.#rewriteRows(users), directiveNamed))
      return undefined
    } catch (failure) {
      return `Rewriting config file: ${this.#files.describe(failure)}`
    }
  }

  /** A file that a directive names, as latin1 text; or why it cannot be read. */
  readText(path: string): { readonly text: string } | { readonly refusal: string } {
    try {
      return { text: this.#files.read(path).latin1Slice() }
    } catch (failure) {
      return { refusal: this.#files.describe(failure) }
    }
  }

  /** Replaces such a file as a whole; returns why it cannot be done. */
  replaceText(path: string, text: string): string | undefined {
    try {
      this.#files.replace(path, Buffer.from(text, 'latin1').toString())
      return undefined
    } catch (failure) {
      return this.#files.describe(failure)
    }
  }

  /** What the log should say about directives that are accepted and not acted upon: each once. */
  takeNotices(): string[] {
    const notices = this.#notices
    this.#notices = []
    return notices
  }

  #read(
    row: DirectiveName,
    words: readonly string[],
    how: { readonly staged?: Settings; readonly repeated?: boolean; readonly folder?: string },
  ): Reading<unknown> {
    const directive = directiveOf(row)
    const [only] = words
    const parts = directive.words && only !== undefined && words.length === 1 ? wordsOf(only) : words
    return directive.read(parts, {
      current: (how.staged?.get(row) ?? this.#settings.get(row))?.value,
      repeated: how.repeated ?? false,
      enter: (folder) => {
        const path = this.#files.resolve(how.folder ?? this.values.dir, folder)
        return this.#files.refusesEntry(path) ?? { path }
      },
    })
  }

  #commit(settings: Settings): void {
    const values = this.values as unknown as Record<string, unknown>
    for (const [row, setting] of settings) {
      this.#settings.set(row, setting)
      values[camel(row)] = setting.value
    }
  }

  /** Puts settings in force and tells the listeners of those that differ. The first refusal takes everything back, and who
   *  was told of the change is told again. */
  #change(settings: Settings): { readonly row: DirectiveName; readonly why: string } | undefined {
    const changed = [...settings.keys()].filter(
      (row) => directiveOf(row).reference || settings.get(row)!.text !== this.#settings.get(row)!.text,
    )
    const before: Settings = new Map(changed.map((row) => [row, this.#settings.get(row)!]))
    this.#commit(settings)
    const told: ChangeListener[] = []
    for (const { names, listener } of this.#listeners) {
      const row = changed.find((name) => names.has(name))
      if (row === undefined) continue
      told.push(listener)
      const why = listener(this.values)
      if (why === undefined) continue
      this.#commit(before)
      for (const earlier of told) earlier(this.values)
      return { row, why }
    }
    for (const row of changed) this.#notice(row)
    return undefined
  }

  /** A directive that nothing depends on asks for something else than its default: worth a line in the log, once. */
  #notice(row: DirectiveName): void {
    const { idle, default: usual } = directiveOf(row)
    const { text } = this.#settings.get(row)!
    if (idle === undefined || this.#noticed.has(row) || text === usual || text === '') return
    this.#noticed.add(row)
    this.#notices.push(idle === true ? `${row}: accepted for compatibility, has no effect here` : idle)
  }

  #rewriteRows(users: readonly string[] | undefined): Map<string, readonly RewriteLine[]> {
    const rows = new Map<string, readonly RewriteLine[]>()
    for (const row of ROW_NAMES) {
      const directive = directiveOf(row)
      const setting = this.#settings.get(row)!
      const plain = { text: setting.text, forced: setting.text !== directive.default }
      rows.set(row, directive.rewrite?.(setting) ?? [plain])
    }
    if (users !== undefined)
      rows.set(
        'user',
        users.map((text) => ({ text, forced: true })),
      )
    return rows
  }
}

const wordsOf = (text: string): readonly string[] => (text === '' ? [] : text.split(' '))

const GLOB = /[*?[]/

/** The directives that patterns find, each name once, as it is to be shown. */
function lookUp(patterns: readonly string[]): Entry[] {
  const found = new Map<string, Entry>()
  for (const pattern of patterns) {
    if (!GLOB.test(pattern)) {
      const entry = ENTRIES.get(pattern.toLowerCase())
      if (entry !== undefined && !found.has(entry.name)) found.set(entry.name, { name: pattern, row: entry.row })
      continue
    }
    const bytes = Buffer.from(pattern)
    for (const entry of ENTRIES.values()) {
      if (directiveOf(entry.row).hidden || found.has(entry.name)) continue
      if (globMatch(bytes, Buffer.from(entry.name), true)) found.set(entry.name, entry)
    }
  }
  return [...found.values()]
}

const failedAt = (name: string, why: string): string =>
  `CONFIG SET failed (possibly related to argument '${name}') - ${why}`

/** The directives that the pairs name, or the first objection to naming them. */
function examine(pairs: readonly (readonly [string, string])[], setProtected: boolean): readonly Entry[] | string {
  const entries: Entry[] = []
  for (const [name] of pairs) {
    const entry = ENTRIES.get(name.toLowerCase())
    if (entry === undefined) return `Unknown option or number of arguments for CONFIG SET - '${name}'`
    const { immutable, protected: isProtected } = directiveOf(entry.row)
    if (immutable) return failedAt(name, "can't set immutable config")
    if (isProtected && !setProtected) return failedAt(name, "can't set protected config")
    if (entries.includes(entry)) return failedAt(name, 'duplicate parameter')
    entries.push(entry)
  }
  return entries
}
