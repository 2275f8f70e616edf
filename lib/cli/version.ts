/** Our version, from package.json: it stands two folders above this file in the sources and in what is built. */
import { readFileSync } from 'node:fs'

function readVersion(): string {
  for (const path of ['../../package.json', '../../../package.json'])
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))
      if (name === 'rookery') return version
    } catch {
      // Not there: the sources and the built files lie at different depths.
    }
  return '0.0.0'
}

export const VERSION = readVersion()
