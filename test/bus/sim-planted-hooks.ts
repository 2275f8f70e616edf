/** A module loader hook that plants one bug into the compiled core while it is read. */
import assert from 'node:assert/strict'
import type { InitializeHook, LoadHook } from 'node:module'
import type { PlantedBug } from './sim-planted-bugs.ts'

let bug: PlantedBug | undefined

export const initialize: InitializeHook<PlantedBug> = (data) => {
  bug = data
}

export const load: LoadHook = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context)
  if (bug === undefined || !url.endsWith(`/bus/${bug.file}`) || url.includes('/test/')) return loaded
  const source = String(loaded.source)
  assert.equal(source.split(bug.find).length - 1, 1, `${bug.file} has this once: ${bug.find}`)
  return { ...loaded, source: source.replace(bug.find, () => bug!.replace) }
}
