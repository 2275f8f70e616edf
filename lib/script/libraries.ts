/** The registry of functions: libraries by name, functions by theirs. Their sources belong to the data set, and are saved, replicated
 *  and replaced with it; what Lua knows of them is made from the sources when that is needed. */
import type { Keyspace } from '../../store/keyspace.ts'
import type { Log } from '../base/log.ts'
import { ClientError, fail } from '../errors.ts'
import { isScriptFlag, type ScriptFlag } from './run.ts'
import { BAD_NAME, isName, readLibrary } from './shebang.ts'

export interface LibraryFunction {
  readonly name: string
  readonly library: string
  readonly description: string | undefined
  readonly flags: readonly ScriptFlag[]
  /** In the registry of the interpreter in use. */
  readonly reference: number
}

export interface Library {
  readonly name: string
  /** As it was given to FUNCTION LOAD. */
  readonly code: Buffer
  readonly functions: readonly LibraryFunction[]
}

/** Runs the code of a library; it calls `register` for each of its functions, which may refuse with a text. */
export type Loader = (code: Buffer, register: (found: Found) => string | undefined) => void

export interface Found {
  readonly name: string
  readonly description: string | undefined
  readonly flags: readonly string[]
  readonly reference: number
}

/** What happens to libraries that are there already when others are restored. */
export type RestorePolicy = 'flush' | 'append' | 'replace'

export class Libraries {
  readonly #keyspace: Keyspace
  readonly #log: Log
  readonly #loader: Loader
  readonly #forget: (reference: number) => void
  /** The sources that were loaded; when those of the data set are others, it is another data set. */
  #loaded: readonly Buffer[] = []
  #byName = new Map<string, Library>()
  /** By the name in lowercase: FCALL asks without regard to case. */
  #functions = new Map<string, LibraryFunction>()

  constructor(keyspace: Keyspace, log: Log, loader: Loader, forget: (reference: number) => void) {
    this.#keyspace = keyspace
    this.#log = log
    this.#loader = loader
    this.#forget = forget
  }

  get count(): number {
    this.#follow()
    return this.#byName.size
  }

  get functionCount(): number {
    this.#follow()
    return this.#functions.size
  }

  [Symbol.iterator](): IterableIterator<Library> {
    this.#follow()
    return this.#byName.values()
  }

  /** The function FCALL names. */
  find(name: string): LibraryFunction | undefined {
    this.#follow()
    return this.#functions.get(name.toLowerCase())
  }

  /** The interpreter is another one: every library is loaded anew when it is next asked for. */
  renew(): void {
    this.#byName = new Map()
    this.#functions = new Map()
    this.#loaded = []
  }

  /** Loads what the data set holds. A library that this server cannot load (a newer one's) is passed over, and said so; it stays in
   *  the data set. */
  #follow(): void {
    const { libraries } = this.#keyspace
    if (this.#loaded === libraries) return
    this.#flushLoaded()
    this.#loaded = libraries
    for (const body of libraries)
      try {
        this.#add(this.#read(body))
      } catch (error) {
        if (!(error instanceof ClientError)) throw error
        this.#log.warning(`A function library cannot be loaded: ${error.text}`)
      }
  }

  /** The data set has changed. */
  #changed(): void {
    this.#loaded = Array.from(this.#byName.values(), ({ code }) => code)
    this.#keyspace.libraries = this.#loaded
    this.#keyspace.dirty++
  }

  /** Loads a library and returns its name. Throws a ClientError when the code is refused; then all is as it was. */
  load(body: Buffer, replace: boolean): string {
    this.#follow()
    const { name } = readLibrary(body)
    const old = this.#byName.get(name)
    if (old !== undefined && !replace) throw fail(`Library '${name}' already exists`)
    const library = this.#read(body)
    const taken = library.functions.find((fn) => (this.find(fn.name)?.library ?? name) !== name)
    if (taken !== undefined) {
      this.#release(library)
      throw fail(`Function ${taken.name} already exists`)
    }
    if (old !== undefined) this.#drop(old)
    this.#add(library)
    this.#changed()
    return name
  }

  /** Throws a ClientError when there is no such library. */
  delete(name: string): void {
    this.#follow()
    const library = this.#byName.get(name)
    if (library === undefined) throw fail('Library not found')
    this.#drop(library)
    this.#changed()
  }

  flush(): void {
    this.#flushLoaded()
    this.#changed()
  }

  #flushLoaded(): void {
    for (const library of [...this.#byName.values()]) this.#drop(library)
  }

  /** Adds libraries, all or none of them. Throws ClientErrors. */
  restore(bodies: readonly Buffer[], policy: RestorePolicy): void {
    this.#follow()
    const before = [this.#byName, this.#functions] as const
    const kept = policy === 'flush' ? [] : [...this.#byName]
    this.#byName = new Map(kept)
    this.#functions = new Map(policy === 'flush' ? [] : before[1])
    try {
      for (const body of bodies) this.#restoreOne(body, policy)
    } catch (error) {
      ;[this.#byName, this.#functions] = before
      throw error
    }
    this.#changed()
  }

  #restoreOne(body: Buffer, policy: RestorePolicy): void {
    const { name } = readLibrary(body)
    if (policy !== 'replace' && this.#byName.has(name)) throw fail(`Library ${name} already exists`)
    const old = this.#byName.get(name)
    if (old !== undefined) for (const fn of old.functions) this.#functions.delete(fn.name.toLowerCase())
    this.#byName.delete(name)
    const library = this.#read(body)
    const taken = library.functions.find((fn) => this.find(fn.name) !== undefined)
    if (taken !== undefined) throw fail(`Function ${taken.name} already exists`)
    this.#add(library)
  }

  #read(body: Buffer): Library {
    const { name, engine, code } = readLibrary(body)
    if (engine.toLowerCase() !== 'lua') throw fail(`Engine '${engine}' not found`)
    const functions: LibraryFunction[] = []
    this.#loader(code, (found) => {
      const flags = found.flags.filter(isScriptFlag)
      if (flags.length < found.flags.length) return 'unknown flag given'
      if (!isName(found.name)) return BAD_NAME
      if (functions.some((fn) => fn.name.toLowerCase() === found.name.toLowerCase()))
        return 'Function already exists in the library'
      functions.push({ ...found, flags, library: name })
      return undefined
    })
    if (functions.length === 0) throw fail('No functions registered')
    return { name, code: Buffer.from(body), functions }
  }

  #add(library: Library): void {
    this.#byName.set(library.name, library)
    for (const fn of library.functions) this.#functions.set(fn.name.toLowerCase(), fn)
  }

  #drop(library: Library): void {
    this.#byName.delete(library.name)
    for (const fn of library.functions) this.#functions.delete(fn.name.toLowerCase())
    this.#release(library)
  }

  #release(library: Library): void {
    for (const { reference } of library.functions) this.#forget(reference)
  }
}
