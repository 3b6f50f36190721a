/** The building's rules over the sources on disk, and for each a breach that it finds in an otherwise sound building. */
import { describe, expect, test } from 'vitest'
import { modelsOf, modulesOf, rules } from './architecture/rules.ts'
import { readSources, type Sources } from './architecture/sources.ts'

const building = readSources()

test('modules, models and files were found on disk', () => {
  expect(modulesOf(building).length).toBeGreaterThan(4)
  expect(modulesOf(building).filter(({ manifest }) => manifest).length).toBeGreaterThan(3)
  expect(modelsOf(building).length).toBeGreaterThan(10)
})

describe('the building', () => {
  test.each(rules)('$name: $law', ({ check }) => expect(check(building)).toEqual([]))
})

/** A small sound building: two modules with a table each, one of code alone. */
const sound: Readonly<Record<string, string>> = {
  'src/kernel/id.ts': `export const id = 1\n`,
  'src/platform/db/database.ts': `import { id } from '../../kernel/id.ts'\nexport const database = id\n`,
  'src/platform/db/generated/client.ts': '',
  'src/modules/rules/contract.ts': `export const may = true\n`,
  'src/modules/ward/contract.ts': `import { id } from '../../kernel/id.ts'\nexport type Ward = typeof id\n`,
  'src/modules/ward/index.ts': `export const ward = defineModule({ name: 'ward', needs: [], owns: ['Bed'] })\n`,
  'src/modules/ward/repo.ts': `import { PrismaClient } from '../../platform/db/generated/client.ts'\nexport const repo = (db) => db(scope)\n`,
  'src/modules/ward/graph.ts': `export type WardGraph = object\n`,
  'src/modules/kitchen/contract.ts': `export type Kitchen = object\n`,
  'src/modules/kitchen/service.ts': `import type { Ward } from '../ward/contract.ts'\nimport { may } from '../rules/contract.ts'\nexport const cook = may\n`,
  'src/modules/kitchen/index.ts': `export const kitchen = defineModule({ name: 'kitchen', needs: ['ward'], owns: ['Meal'] })\n`,
  'src/app.ts': `import { ward } from './modules/ward/index.ts'\nexport const modules = [ward]\n`,
  'prisma/schema/ward.prisma': `model Bed {\n  id String @id\n  label String?\n\n  @@schema("ward")\n}\n`,
  'prisma/schema/kitchen.prisma': `model Meal {\n  id String @id\n\n  @@schema("kitchen")\n}\n`,
  'prisma/schema/outbox.prisma': `model OutboxEvent {\n  id String @id\n\n  @@schema("outbox")\n}\n`,
}

const withPlanted = (planted: Readonly<Record<string, string>>): Sources => new Map(Object.entries({ ...sound, ...planted }))
const broken = (sources: Sources) => rules.filter(({ check }) => check(sources).length > 0).map(({ name }) => name)

const bed = sound['prisma/schema/ward.prisma']!
const manifest = (name: string, needs: string, owns: string) =>
  `export const it = defineModule({ name: '${name}', needs: [${needs}], owns: [${owns}] })\n`

/** Breaches, each with the only rule that it breaks. */
const breaches: readonly (readonly [rule: string, what: string, planted: Readonly<Record<string, string>>])[] = [
  ['kernel', 'the kernel looks up', { 'src/kernel/id.ts': `import type { database } from '../platform/db/database.ts'\n` }],
  ['platform', 'the platform knows a module', { 'src/platform/http.ts': `import type { Ward } from '../modules/ward/contract.ts'\n` }],
  ['platform', 'the platform knows the composition', { 'src/platform/http.ts': `export { modules } from '../app.ts'\n` }],
  [
    'modules-look-down',
    'a module knows the proof',
    { 'src/modules/ward/service.ts': `import { prove } from '../../proof/isolation.ts'\n` },
  ],
  [
    'modules-look-down',
    'a module loads the composition later',
    { 'src/modules/ward/service.ts': `const it = await import('../../app.ts')\n` },
  ],
  [
    'one-door',
    'a module enters through a window',
    { 'src/modules/kitchen/service.ts': `import type { Ward } from '../ward/contract.ts'\nimport { x } from '../ward/repo.ts'\n` },
  ],
  [
    'one-door',
    "a module takes another's graph for more than its types",
    { 'src/modules/kitchen/service.ts': `import { WardGraph } from '../ward/graph.ts'\n` },
  ],
  [
    'needs-declared',
    'a module imports what it does not need',
    { 'src/modules/ward/service.ts': `import type { Kitchen } from '../kitchen/contract.ts'\n` },
  ],
  ['needs-real', 'a module needs what does not exist', { 'src/modules/ward/index.ts': manifest('ward', "'garden'", "'Bed'") }],
  ['needs-real', 'a module needs what it does not use', { 'src/modules/kitchen/service.ts': '' }],
  [
    'needs-acyclic',
    'two modules need each other',
    {
      'src/modules/ward/index.ts': manifest('ward', "'kitchen'", "'Bed'"),
      'src/modules/ward/service.ts': `import type { Kitchen } from '../kitchen/contract.ts'\n`,
    },
  ],
  [
    'manifest-name',
    'a module has another name than its folder',
    { 'src/modules/garden/contract.ts': '', 'src/modules/garden/index.ts': manifest('park', '', '') },
  ],
  [
    'repo-only',
    'a service touches the client',
    { 'src/modules/ward/service.ts': `import { PrismaClient } from '../../platform/db/generated/client.ts'\n` },
  ],
  [
    'repo-only',
    "a service speaks Prisma's language",
    { 'src/modules/ward/service.ts': `import type { Prisma } from '../../platform/db/generated/client.ts'\n` },
  ],
  [
    'repo-only',
    'a contract shows a row type',
    { 'src/modules/ward/contract.ts': `import type { Bed } from '../../platform/db/generated/client.ts'\n` },
  ],
  [
    'database-handle',
    'a service asks the database',
    { 'src/modules/ward/service.ts': `export const all = (scope) => db(scope).bed.findMany()\n` },
  ],
  [
    'database-handle',
    'a graph asks the database',
    { 'src/modules/ward/graph.ts': `export const all = (unit) => unit.db.bed.findMany()\n` },
  ],
  [
    'file-cycle',
    'two files import each other',
    { 'src/kernel/a.ts': `import { b } from './b.ts'\n`, 'src/kernel/b.ts': `import { a } from './a.ts'\n` },
  ],
  ['one-owner', 'a model is owned by nobody', { 'src/modules/ward/index.ts': manifest('ward', '', '') }],
  ['one-owner', 'a model is owned twice', { 'src/modules/kitchen/index.ts': manifest('kitchen', "'ward'", "'Meal', 'Bed'") }],
  ['one-owner', 'a model is owned and does not exist', { 'src/modules/ward/index.ts': manifest('ward', '', "'Bed', 'Chair'") }],
  ['relation-inside', 'a relation crosses owners', { 'prisma/schema/ward.prisma': bed.replace('label String?', 'meals Meal[]') }],
  ['schema-of-owner', 'a model lives in another schema', { 'prisma/schema/ward.prisma': bed.replace('"ward"', '"kitchen"') }],
  ['schema-of-owner', 'a model lives in another file', { 'prisma/schema/ward.prisma': '', 'prisma/schema/main.prisma': bed }],
  ['size', 'a file is too long and does not say why', { 'src/kernel/id.ts': 'export {}\n'.repeat(251) }],
  ['names', 'a file is called utils', { 'src/kernel/utils.ts': '' }],
  ['names', 'a folder is called common', { 'src/platform/common/clock.ts': '' }],
  ['names', 'a file is in camel case', { 'src/kernel/someThing.ts': '' }],
  ['doubles-in-test', 'a fake stands among the real', { 'src/platform/fake-kms.ts': '' }],
  ['doubles-in-test', 'production imports the test runner', { 'src/platform/kms.ts': `import { vi } from 'vitest'\n` }],
  ['session-locks', 'a job holds a lock for its session', { 'src/platform/turn.ts': "export const sql = 'select pg_advisory_lock(1)'\n" }],
  ['no-any', 'a cast escapes the types', { 'src/kernel/id.ts': `export const id = 1 as any\n` }],
  ['no-any', 'a parameter escapes the types', { 'src/kernel/id.ts': `export const id = (x: any) => x\n` }],
  ['no-any', 'the compiler is told to look away', { 'src/kernel/id.ts': `// @ts-ignore\nexport const id = 1\n` }],
  ['nothing-left-over', 'something is left for later', { 'src/kernel/id.ts': `// TODO: more\n` }],
]

describe('a planted breach', () => {
  test('is missing in the sound building, where every rule holds', () => expect(broken(withPlanted({}))).toEqual([]))

  test('exists for every rule', () =>
    expect([...new Set(breaches.map(([rule]) => rule))].sort()).toEqual(rules.map(({ name }) => name).sort()))

  test.each(breaches)('of %s is found, and of nothing else: %s', (rule, _, planted) => expect(broken(withPlanted(planted))).toEqual([rule]))
})

test('what only looks like a breach is none', () => {
  const fine = withPlanted({
    'src/kernel/id.ts': `// size: the table of all units, which is one list\n${'export {}\n'.repeat(300)}`,
    'src/modules/kitchen/graph.ts': `import type { WardGraph } from '../ward/graph.ts'\n`,
    'src/modules/ward/service.ts': `import type { Bed } from '../../platform/db/generated/client.ts'\n// any bed: never 'as any'\nexport const any = 'x: any'\n`,
    'src/modules/kitchen/rules.test.ts': `import { expect } from 'vitest'\n`,
  })
  expect(broken(fine)).toEqual([])
})
