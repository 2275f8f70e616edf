#!/usr/bin/env node
import { compileByLoad, keepYoungHeapSmall } from './cli/v8-flags.ts'

// Before anything else is loaded: what has grown stays.
keepYoungHeapSmall()
compileByLoad()
const args = process.argv.slice(2)
if (args[0] === 'server') {
  const { runServer } = await import('./cli/server.ts')
  await runServer(args.slice(1))
} else {
  const { runVerb } = await import('./cli/verbs.ts')
  await runVerb(args)
}
