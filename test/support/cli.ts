/** redis-cli as tests use it: run to the end, its words and its exit code. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

export interface CliResult {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null
  /** Standard output and standard error in the order they came, without colours. */
  readonly output: string
}

export interface CliOptions {
  /** What is typed; nothing by default. */
  readonly input?: string
  /** What is typed at each question, when it is asked: for programs that read ahead of what they asked for. */
  readonly answers?: readonly (readonly [question: RegExp, answer: string])[]
  readonly timeoutMs?: number
}

/** A redis-cli that runs: to be killed in the middle, or awaited. */
export interface RunningCli {
  readonly process: ChildProcess
  readonly result: Promise<CliResult>
}

/** Starts redis-cli. It is killed when it takes longer than `timeoutMs` (default 90 s), which shows as code null. */
export function startCli(argv: readonly (string | number)[], options: CliOptions = {}): RunningCli {
  return startProgram('redis-cli', argv, options)
}

/** As `startCli`, for any program. */
export function startProgram(
  program: string,
  argv: readonly (string | number)[],
  options: CliOptions = {},
): RunningCli {
  const child = spawn(program, argv.map(String), { timeout: options.timeoutMs ?? 90_000, killSignal: 'SIGKILL' })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('latin1')
    stream.on('data', (text: string) => {
      output += text
      answer()
    })
  }
  const left = [...(options.answers ?? [])]
  let answeredTo = 0
  const answer = (): void => {
    const [question, words] = left[0] ?? []
    if (question === undefined || !question.test(output.slice(answeredTo))) return
    left.shift()
    answeredTo = output.length
    child.stdin.write(`${words}\n`)
  }
  // A program that needs no input may have ended before it is written.
  child.stdin.on('error', () => {})
  if (options.answers === undefined) child.stdin.end(options.input ?? '')
  const result = once(child, 'close').then(([code]) => ({
    code: code as number | null,
    output: withoutColours(output),
  }))
  return { process: child, result }
}

/** Runs redis-cli to its end. */
export function redisCli(argv: readonly (string | number)[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(argv, options).result
}

/** Runs `redis-cli --cluster <verb> …` with questions answered yes (there is one that --cluster-yes does not answer); throws with its output when it fails. */
export async function clusterTool(verb: string, ...argv: readonly (string | number)[]): Promise<string> {
  const { code, output } = await redisCli(['--cluster', verb, ...argv, '--cluster-yes'], { input: 'yes\n' })
  if (code !== 0) throw new Error(`redis-cli --cluster ${verb} ${argv.join(' ')} ended with ${code}:\n${output}`)
  return output
}

const withoutColours = (text: string): string => text.replaceAll(/\u001b\[[0-9;]*m/g, '')
