#!/usr/bin/env node
import { tuneEngine } from './cli/v8-flags.ts'

tuneEngine()
const args = process.argv.slice(2)
if (args[0] === 'server') {
  const { runServer } = await import('./cli/server.ts')
  await runServer(args.slice(1))
} else {
  const { runVerb } = await import('./cli/verbs.ts')
  await runVerb(args)
}
