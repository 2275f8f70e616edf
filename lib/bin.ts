#!/usr/bin/env node
import { compileSooner, keepYoungHeapSmall } from './cli/v8-flags.ts'

// Before anything else is loaded: what has grown stays.
keepYoungHeapSmall()
compileSooner()
const args = process.argv.slice(2)
if (args[0] === 'server') {
  const { runServer } = await import('./cli/server.ts')
  await runServer(args.slice(1))
} else {
  const { runVerb } = await import('./cli/verbs.ts')
  await runVerb(args)
}
