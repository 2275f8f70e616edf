/** One row of the command table in the reply forms of COMMAND INFO and COMMAND DOCS. */
import type { Reply } from '../resp/reply.ts'
import { aclCategories } from './categories.ts'
import type { ArgumentDoc, KeySpec } from './define.ts'
import { type History, historyOf } from './history.ts'
import { keySpecs } from './key-specs.ts'
import type { CommandEntry } from './table.ts'

/** Flags that are for the server itself. */
const HIDDEN_FLAGS: ReadonlySet<string> = new Set(['may_replicate'])

/** The ten elements of COMMAND INFO: name, arity, flags, first key, last key, step, ACL categories, tips, key
 *  specifications, subcommands. */
export function replyInfo(reply: Reply, entry: CommandEntry): void {
  const { command, subcommands } = entry
  const { first, last, step } = command.keys ?? { first: 0, last: 0, step: 0 }
  const flags = command.flags.filter((flag) => !HIDDEN_FLAGS.has(flag))
  const specs = keySpecs(command.keys)
  reply.array(10)
  reply.text(entry.fullName)
  reply.integer(command.arity)
  reply.set(flags.length)
  for (const flag of flags) reply.simple(flag)
  reply.integer(first)
  reply.integer(last)
  reply.integer(step)
  const categories = aclCategories(entry)
  reply.set(categories.length)
  for (const category of categories) reply.simple(`@${category}`)
  replyTexts(reply, command.tips ?? [])
  reply.set(specs.length)
  for (const spec of specs) replySpec(reply, spec)
  // An empty set, but an array of those there are: so does a real server.
  if (subcommands === undefined) return reply.set(0)
  reply.array(subcommands.size)
  for (const sub of subcommands.values()) replyInfo(reply, sub)
}

function replyTexts(reply: Reply, texts: readonly string[]): void {
  reply.set(texts.length)
  for (const text of texts) reply.text(text)
}

function replySpec(reply: Reply, spec: KeySpec): void {
  const { begin, notes } = spec
  reply.map(notes === undefined ? 3 : 4)
  if (notes !== undefined) pair(reply, 'notes', notes)
  reply.text('flags')
  reply.set(spec.flags.length)
  for (const flag of spec.flags) reply.simple(flag)
  if (begin === 'unknown') search(reply, 'begin_search', 'unknown', {})
  else if (typeof begin === 'number') search(reply, 'begin_search', 'index', { index: begin })
  else search(reply, 'begin_search', 'keyword', { keyword: begin.keyword, startfrom: begin.from })
  if ('counted' in spec) search(reply, 'find_keys', 'keynum', { keynumidx: 0, firstkey: 1, keystep: 1 })
  else if ('last' in spec)
    search(reply, 'find_keys', 'range', { lastkey: spec.last, keystep: spec.step, limit: spec.limit ?? 0 })
  else search(reply, 'find_keys', 'unknown', {})
}

function search(reply: Reply, name: string, type: string, fields: Readonly<Record<string, string | number>>): void {
  reply.text(name)
  reply.map(2)
  pair(reply, 'type', type)
  reply.text('spec')
  const entries = Object.entries(fields)
  reply.map(entries.length)
  for (const [field, value] of entries) pair(reply, field, value)
}

function pair(reply: Reply, name: string, value: string | number): void {
  reply.text(name)
  if (typeof value === 'number') reply.integer(value)
  else reply.text(value)
}

/** The map of COMMAND DOCS: what there is of summary, since, group, complexity, deprecation, history, arguments,
 *  subcommands. */
export function replyDocs(reply: Reply, { command, fullName, subcommands }: CommandEntry): void {
  const { summary, since, group, complexity, deprecated, internal } = command
  const flags = [...(deprecated === undefined ? [] : ['deprecated']), ...(internal === true ? ['syscmd'] : [])]
  const texts = Object.entries({ summary, since, group, complexity }).filter(([, text]) => text !== undefined)
  const args = command.arguments ?? []
  const history = historyOf(fullName)
  reply.map(
    texts.length +
      (flags.length > 0 ? 1 : 0) +
      (deprecated === undefined ? 0 : 2) +
      (history.length > 0 ? 1 : 0) +
      (args.length > 0 ? 1 : 0) +
      (subcommands === undefined ? 0 : 1),
  )
  for (const [name, text] of texts) pair(reply, name, text!)
  if (flags.length > 0) {
    reply.text('doc_flags')
    reply.set(flags.length)
    for (const flag of flags) reply.simple(flag)
  }
  if (deprecated !== undefined) {
    pair(reply, 'deprecated_since', deprecated.since)
    pair(reply, 'replaced_by', deprecated.replacedBy)
  }
  if (history.length > 0) replyHistory(reply, history)
  if (args.length > 0) replyArguments(reply, args)
  if (subcommands === undefined) return
  reply.text('subcommands')
  reply.map(subcommands.size)
  for (const sub of subcommands.values()) {
    reply.text(sub.fullName)
    replyDocs(reply, sub)
  }
}

function replyHistory(reply: Reply, history: History): void {
  reply.text('history')
  reply.set(history.length)
  for (const change of history) {
    reply.array(2)
    for (const text of change) reply.text(text)
  }
}

const ARGUMENT_FLAGS = [
  ['optional', 'optional'],
  ['multiple', 'multiple'],
  ['multiple_token', 'multipleToken'],
] as const

function replyArguments(reply: Reply, args: readonly ArgumentDoc[]): void {
  reply.text('arguments')
  reply.array(args.length)
  for (const arg of args) {
    const { name, type, keySpec, token, since, deprecated } = arg
    const words = { name, type, key_spec_index: keySpec, token, since, deprecated_since: deprecated }
    const fields = Object.entries(words).filter(([, value]) => value !== undefined)
    const flags = ARGUMENT_FLAGS.filter(([, flag]) => arg[flag] === true)
    reply.map(fields.length + (flags.length > 0 ? 1 : 0) + (arg.arguments === undefined ? 0 : 1))
    for (const [field, value] of fields) pair(reply, field, value!)
    if (flags.length > 0) {
      reply.text('flags')
      reply.set(flags.length)
      for (const [name] of flags) reply.simple(name)
    }
    if (arg.arguments !== undefined) replyArguments(reply, arg.arguments)
  }
}
