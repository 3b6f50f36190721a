/**
 * Writes schema/<plane>.graphql from the modules, or with `--check` says which files are not what the modules would write.
 * A published field is never removed at once: it is marked @deprecated with a reason, and goes two minor versions later.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { drawHouse } from '../src/app.ts'
import { planes } from '../src/kernel/scope.ts'
import { sdlOf } from '../src/platform/graphql/planes.ts'

const directory = join(import.meta.dirname, '../schema')
const check = process.argv.includes('--check')
const { schemas } = drawHouse()

const textOf = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

mkdirSync(directory, { recursive: true })
const stale: string[] = []
for (const plane of planes) {
  const path = join(directory, `${plane}.graphql`)
  const sdl = sdlOf(schemas.plane[plane])
  if (textOf(path) === sdl) continue
  stale.push(`schema/${plane}.graphql`)
  if (!check) writeFileSync(path, sdl)
}
if (check && stale.length > 0) {
  console.error(`Not what the modules say: ${stale.join(', ')}. Write them anew: npm run schema`)
  process.exit(1)
}
console.log(stale.length === 0 ? 'The schema files are as the modules say.' : `Written: ${stale.join(', ')}.`)
process.exit(0)
