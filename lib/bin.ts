#!/usr/bin/env node
import { tuneEngine } from './cli/v8-flags.ts'
import { yieldToMain } from './cli/v8-threads.ts'

tuneEngine()
const args = process.argv.slice(2)
if (args[0] === 'server') {
  yieldToMain()
  const { runServer } = await import('./cli/server.ts')
  await runServer(args.slice(1))
} else {
  const { runVerb } = await import('./cli/verbs.ts')
  await runVerb(args)
}
