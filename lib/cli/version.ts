/** Our version, from the nearest package.json above this file. */
import { readFileSync } from 'node:fs'

function readVersion(): string {
  for (let folder = new URL('.', import.meta.url); ; folder = new URL('..', folder))
    try {
      return JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')).version
    } catch (error) {
      if (folder.pathname.length <= 1 || folder.href === new URL('..', folder).href) throw error
    }
}

export const VERSION: string = readVersion()
