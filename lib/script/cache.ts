/** The scripts of EVAL, kept by their SHA1 for EVALSHA, compiled once for each interpreter. */
import { createHash } from 'node:crypto'
import { ClientError, fail } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Interpreter, World } from './interpreter.ts'
import type { ScriptFlag } from './run.ts'
import { readScript } from './shebang.ts'

/** What is run: a script, or a function. */
export interface Runnable {
  readonly world: World
  /** The SHA1 of a script. */
  readonly name: string
  /** Undefined: it has no shebang. */
  readonly flags: readonly ScriptFlag[] | undefined
  readonly reference: number
}

/** A script of the cache. */
export interface Script extends Runnable {
  readonly body: Buffer
  /** The interpreter that has compiled it: `reference` is one of its. */
  interpreter: Interpreter
  reference: number
}

/** The SHA1 of no script. */
export const NO_SCRIPT = new ClientError('NOSCRIPT No matching script. Please use EVAL.')

export class ScriptCache {
  readonly #interpreter: () => Interpreter
  readonly #bySha = new Map<string, Script>()
  /** By its text, one character a byte. */
  readonly #byText = new Map<string, Script>()

  /** `interpreter`: the present one. */
  constructor(interpreter: () => Interpreter) {
    this.#interpreter = interpreter
  }

  get count(): number {
    return this.#bySha.size
  }

  /** Bytes of the scripts' texts. */
  get bytes(): number {
    let sum = 0
    for (const { body } of this.#bySha.values()) sum += body.length
    return sum
  }

  /** Whether a script of that SHA1 (lowercase) is cached. */
  has(sha: string): boolean {
    return this.#bySha.has(sha)
  }

  /** The script whose text is an argument, compiled if it is new. Throws a ClientError when it does not compile. */
  of(argv: Argv, index: number): Script {
    const text = argv.text(index)
    const known = this.#byText.get(text)
    if (known !== undefined) return this.#compiled(known)
    const body = argv.own(index)
    const name = createHash('sha1').update(body).digest('hex')
    const { flags } = readScript(body)
    const interpreter = this.#interpreter()
    const reference = compile(interpreter, body)
    const script: Script = { world: 'eval', name, flags, reference, body, interpreter }
    this.#bySha.set(name, script)
    this.#byText.set(text, script)
    return script
  }

  /** Throws NOSCRIPT. */
  bySha(sha: string): Script {
    const script = this.#bySha.get(sha)
    if (script === undefined) throw NO_SCRIPT
    return this.#compiled(script)
  }

  flush(): void {
    for (const { interpreter, reference } of this.#bySha.values()) interpreter.forget(reference)
    this.#bySha.clear()
    this.#byText.clear()
  }

  /** In an interpreter that is newer than the script, it is compiled once more. */
  #compiled(script: Script): Script {
    const interpreter = this.#interpreter()
    if (script.interpreter !== interpreter) {
      script.reference = compile(interpreter, script.body)
      script.interpreter = interpreter
    }
    return script
  }
}

function compile(interpreter: Interpreter, body: Buffer): number {
  const compiled = interpreter.compile('eval', readScript(body).code)
  if ('error' in compiled) throw fail(`Error compiling script (new function): ${compiled.error}`)
  return compiled.reference
}
