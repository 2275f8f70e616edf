#!/usr/bin/env node
import { keepYoungHeapSmall } from './cli/young-heap.ts'

// Before anything else is loaded: what has grown stays.
keepYoungHeapSmall()
const { main } = await import('./cli/main.ts')

await main(process.argv.slice(2))
