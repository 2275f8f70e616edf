#!/usr/bin/env node
import { compileSooner, keepYoungHeapSmall } from './cli/v8-flags.ts'

// Before anything else is loaded: what has grown stays.
keepYoungHeapSmall()
compileSooner()
const { main } = await import('./cli/main.ts')

await main(process.argv.slice(2))
