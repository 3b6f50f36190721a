/** The building's sources as a map of path to text, read from disk: no list of modules or files is kept anywhere. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Path below the project's root, with forward slashes, to text. */
export type Sources = ReadonlyMap<string, string>

const root = join(import.meta.dirname, '../..')

/** Every TypeScript file below src/ but the generated ones, and every file of the Prisma schema. */
export function readSources(): Sources {
  const found = new Map<string, string>()
  for (const [folder, ending] of [
    ['src', /\.ts$/],
    ['prisma/schema', /\.prisma$/],
  ] as const) {
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
        .slice(root.length + 1)
        .replaceAll('\\', '/')
      if (entry.isFile() && ending.test(path) && !path.startsWith('src/platform/db/generated/'))
        found.set(path, readFileSync(join(root, path), 'utf8'))
    }
  }
  return found
}

export interface Import {
  /** Path below the root for one of ours, the package's name otherwise. */
  readonly target: string
  readonly ours: boolean
  readonly typeOnly: boolean
  /** What is imported, as written between the braces. */
  readonly names: string
}

/** Text without comments; strings stay. */
export function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' ')).replace(/(^|[\s;{}(,])\/\/[^\n]*/g, '$1')
}

/** Everything a file imports or re-exports. */
export function importsOf(path: string, text: string): Import[] {
  const pattern = /^\s*(?:import|export)\s+(type\s+)?(?:([^'";]*?)\s+from\s+)?'([^']+)'/gm
  const dynamic = /\bimport\('([^']+)'\)/g
  const code = withoutComments(text)
  const make = (target: string, typeOnly: boolean, names: string): Import => {
    if (!target.startsWith('.')) return { target, ours: false, typeOnly, names }
    const parts = path.split('/').slice(0, -1)
    for (const part of target.split('/')) {
      if (part === '..') parts.pop()
      else if (part !== '.') parts.push(part)
    }
    return { target: parts.join('/'), ours: true, typeOnly, names }
  }
  return [
    ...[...code.matchAll(pattern)].map(([, type, names, target]) => make(target!, type !== undefined, names ?? '')),
    ...[...code.matchAll(dynamic)].map(([, target]) => make(target!, false, '*')),
  ]
}

/** The module a file belongs to: every folder of src/modules that has a contract is one. */
export function moduleOf(sources: Sources, path: string): string | null {
  const parts = path.split('/')
  if (parts[0] !== 'src' || parts[1] !== 'modules') return null
  for (let end = 3; end < parts.length; end++) {
    const folder = parts.slice(0, end).join('/')
    if (sources.has(`${folder}/contract.ts`)) return folder
  }
  return parts.slice(0, 3).join('/')
}

export const isTest = (path: string): boolean => path.endsWith('.test.ts')
