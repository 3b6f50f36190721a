/** The building's rules, each a pure function from the sources to whatever breaks it; empty when it holds. */
import { importsOf, isTest, moduleOf, withoutComments, type Import, type Sources } from './sources.ts'

export interface Rule {
  readonly name: string
  readonly law: string
  check(sources: Sources): string[]
}

/** Everything above the modules: what puts them together, serves them and proves them. */
const above = /^src\/(app|edge|main|cli|proof\/.*|operator\/.*)(\.ts)?$/
const code = (sources: Sources) => [...sources].filter(([path]) => path.startsWith('src/'))
const production = (sources: Sources) => code(sources).filter(([path]) => !isTest(path))
/** Folders above a module group it, and are no part of its name. */
const nameOf = (module: string): string => module.split('/').at(-1)!
const floorOf = (path: string) => (above.test(path) ? 'top' : path.split('/')[1])

function brokenImports(
  sources: Sources,
  files: readonly (readonly [string, string])[],
  bad: (path: string, one: Import) => boolean,
): string[] {
  return files.flatMap(([path, text]) =>
    importsOf(path, text)
      .filter((one) => bad(path, one))
      .map(({ target }) => `${path} imports ${target}`),
  )
}

/** The modules on disk with what their manifests declare; a module of code alone has no manifest and needs none. */
export function modulesOf(sources: Sources): { folder: string; name: string; manifest: boolean; needs: string[]; owns: string[] }[] {
  const folders = new Set(code(sources).flatMap(([path]) => moduleOf(sources, path) ?? []))
  return [...folders].sort().map((folder) => {
    const manifest = withoutComments(sources.get(`${folder}/index.ts`) ?? '')
    const list = (key: string) =>
      [...(new RegExp(`\\b${key}: \\[([^\\]]*)\\]`).exec(manifest)?.[1] ?? '').matchAll(/'([^']+)'/g)].map(([, name]) => name!)
    return { folder, name: nameOf(folder), manifest: manifest !== '', needs: list('needs'), owns: list('owns') }
  })
}

/** Models of the Prisma schema: where each is written, its Postgres schema, and the types of its fields. */
export function modelsOf(sources: Sources): { model: string; file: string; space: string | null; types: string[] }[] {
  return [...sources]
    .filter(([path]) => path.endsWith('.prisma'))
    .flatMap(([file, text]) =>
      [...text.matchAll(/^model (\w+) \{([\s\S]*?)^\}/gm)].map(([, model, body]) => ({
        model: model!,
        file,
        space: /@@schema\("(\w+)"\)/.exec(body!)?.[1] ?? null,
        types: [...body!.matchAll(/^\s+\w+\s+(\w+)(?:\[\]|\?)?/gm)].map(([, type]) => type!),
      })),
    )
}

/** What the platform writes itself, in every command. */
export const platformOwned: Readonly<Record<string, string>> = { OutboxEvent: 'outbox' }

function ownersOf(sources: Sources): Map<string, string[]> {
  const owners = new Map<string, string[]>(Object.keys(platformOwned).map((model) => [model, [platformOwned[model]!]]))
  for (const { name, owns } of modulesOf(sources)) for (const model of owns) owners.set(model, [...(owners.get(model) ?? []), name])
  return owners
}

/** A way round through `edges`, or null. */
function cycleIn(edges: ReadonlyMap<string, readonly string[]>): string[] | null {
  const state = new Map<string, 'open' | 'done'>()
  const visit = (at: string, way: readonly string[]): string[] | null => {
    if (state.get(at) === 'done') return null
    if (state.get(at) === 'open') return [...way.slice(way.indexOf(at)), at]
    state.set(at, 'open')
    for (const next of edges.get(at) ?? []) {
      const found = visit(next, [...way, at])
      if (found) return found
    }
    state.set(at, 'done')
    return null
  }
  for (const at of edges.keys()) {
    const found = visit(at, [])
    if (found) return found
  }
  return null
}

/** The client and its types; `enums.ts` beside them holds words only. */
const generatedClient = /^src\/platform\/db\/generated\/(?!enums\.ts$)/
const mayTouchClient = /^src\/(platform\/(db|graphql|outbox)\/|proof\/|modules\/.*\/repo(-[\w-]+)?\.ts$)/

/** Migrations, the queue's installation and backups hold a lock for a whole session. */
const ownerConnection = new Set(['src/platform/db/migrate.ts', 'src/platform/jobs/install.ts', 'src/operator/backups.ts'])

export const rules: readonly Rule[] = [
  {
    name: 'kernel',
    law: 'The kernel imports nothing of ours but the kernel.',
    check: (sources) =>
      brokenImports(
        sources,
        code(sources).filter(([path]) => floorOf(path) === 'kernel'),
        (_, { ours, target }) => ours && floorOf(target) !== 'kernel',
      ),
  },
  {
    name: 'platform',
    law: 'The platform imports no module and nothing above.',
    check: (sources) =>
      brokenImports(
        sources,
        production(sources).filter(([path]) => floorOf(path) === 'platform'),
        (_, { ours, target }) => ours && !['kernel', 'platform'].includes(floorOf(target)!),
      ),
  },
  {
    name: 'modules-look-down',
    law: 'A module imports nothing of what stands above the modules.',
    check: (sources) =>
      brokenImports(
        sources,
        production(sources).filter(([path]) => floorOf(path) === 'modules'),
        (_, { ours, target }) => ours && floorOf(target) === 'top',
      ),
  },
  {
    name: 'one-door',
    law: "A module is entered through its contract.ts; a graph's types, which only name what the manifest hands over, through its graph.ts.",
    check: (sources) =>
      brokenImports(
        sources,
        production(sources).filter(([path]) => floorOf(path) === 'modules'),
        (path, { ours, target, typeOnly }) => {
          const there = ours ? moduleOf(sources, target) : null
          if (there === null || there === moduleOf(sources, path)) return false
          return target !== `${there}/contract.ts` && !(typeOnly && target === `${there}/graph.ts`)
        },
      ),
  },
  {
    name: 'needs-declared',
    law: 'A module imports only modules it needs. A module of code alone, which has no index.ts, is handed to nobody and needs no naming.',
    check: (sources) => {
      const modules = modulesOf(sources)
      return production(sources).flatMap(([path, text]) => {
        const mine = modules.find(({ folder }) => folder === moduleOf(sources, path))
        if (!mine) return []
        const missing = importsOf(path, text).filter(({ ours, target }) => {
          const there = ours ? modules.find(({ folder }) => folder === moduleOf(sources, target)) : undefined
          return there !== undefined && there !== mine && there.manifest && !mine.needs.includes(there.name)
        })
        return missing.map(({ target }) => `${path} imports ${target}, and ${mine.name} does not need it`)
      })
    },
  },
  {
    name: 'needs-real',
    law: 'A module needs modules that exist, have a manifest, and whose types it uses somewhere.',
    check: (sources) => {
      const modules = modulesOf(sources)
      return modules.flatMap(({ name, folder, needs }) =>
        needs.flatMap((need) => {
          const there = modules.find((one) => one.name === need)
          if (!there?.manifest) return [`${name} needs ${need}, which does not exist`]
          const used = production(sources).some(
            ([path, text]) =>
              moduleOf(sources, path) === folder &&
              importsOf(path, text).some(({ ours, target }) => ours && moduleOf(sources, target) === there.folder),
          )
          return used ? [] : [`${name} needs ${need} and uses nothing of it`]
        }),
      )
    },
  },
  {
    name: 'needs-acyclic',
    law: 'Modules do not need each other in a circle.',
    check: (sources) => {
      const way = cycleIn(new Map(modulesOf(sources).map(({ name, needs }) => [name, needs])))
      return way ? [way.join(' -> ')] : []
    },
  },
  {
    name: 'manifest-name',
    law: 'A manifest carries the name of its folder.',
    check: (sources) =>
      modulesOf(sources).flatMap(({ folder, name, manifest }) =>
        manifest && !withoutComments(sources.get(`${folder}/index.ts`)!).includes(`name: '${name}'`)
          ? [`${folder}/index.ts is not called ${name}`]
          : [],
      ),
  },
  {
    name: 'repo-only',
    law: 'Only repo.ts and repo-*.ts touch the Prisma client; other files of a module may name its row types, and a contract not even those.',
    check: (sources) =>
      brokenImports(sources, production(sources), (path, { ours, target, typeOnly, names }) => {
        if (!ours || !generatedClient.test(target) || mayTouchClient.test(path)) return false
        return !typeOnly || /\/contract(-[\w-]+)?\.ts$/.test(path) || /\bPrisma(Client)?\b/.test(names)
      }),
  },
  {
    name: 'database-handle',
    law: 'Only repo.ts and repo-*.ts of a module ask the database for anything.',
    check: (sources) =>
      production(sources)
        .filter(([path]) => floorOf(path) === 'modules' && !mayTouchClient.test(path))
        .flatMap(([path, text]) =>
          /\b(db|sql)\(\w*[sS]cope\)|\bunit\.db\b|\bcontext\.db\b|\bunitOf\([^)]*\)\.(db|only)\b|\$(queryRaw|executeRaw)/.test(
            withoutComments(text),
          )
            ? [`${path} asks the database`]
            : [],
        ),
  },
  {
    name: 'file-cycle',
    law: 'No file imports itself by way of others.',
    check: (sources) => {
      const edges = new Map(
        production(sources).map(([path, text]) => [
          path,
          importsOf(path, text)
            .filter(({ ours, typeOnly, target }) => ours && !typeOnly && target !== path)
            .map(({ target }) => target),
        ]),
      )
      const way = cycleIn(edges)
      return way ? [way.join(' -> ')] : []
    },
  },
  {
    name: 'one-owner',
    law: 'Each model is owned by exactly one module, or by the platform.',
    check: (sources) => {
      const owners = ownersOf(sources)
      const models = modelsOf(sources).map(({ model }) => model)
      return [
        ...models.filter((model) => !owners.has(model)).map((model) => `${model} is owned by nobody`),
        ...[...owners].filter(([, by]) => by.length > 1).map(([model, by]) => `${model} is owned by ${by.join(' and ')}`),
        ...[...owners.keys()].filter((model) => !models.includes(model)).map((model) => `${model} is owned and does not exist`),
      ]
    },
  },
  {
    name: 'relation-inside',
    law: 'No relation joins models of two owners.',
    check: (sources) => {
      const owners = ownersOf(sources)
      return modelsOf(sources).flatMap(({ model, types }) =>
        types
          .filter((type) => owners.has(type) && !owners.get(type)!.some((owner) => owners.get(model)?.includes(owner)))
          .map((type) => `${model} relates to ${type}`),
      )
    },
  },
  {
    name: 'schema-of-owner',
    law: 'A model lives in the Postgres schema and in the Prisma file that are named like its owner.',
    check: (sources) => {
      const owners = ownersOf(sources)
      return modelsOf(sources).flatMap(({ model, space, file }) => {
        const named = (owners.get(model) ?? []).map((owner) => owner.replaceAll(/[.-]/g, '_'))
        const stands = named.some((owner) => space === owner && file === `prisma/schema/${owner}.prisma`)
        return named.length === 0 || stands ? [] : [`${model} is in ${space}, ${file}`]
      })
    },
  },
  {
    name: 'size',
    law: 'A file longer than 250 lines, tests apart, says why in its first lines: `size: <reason>`.',
    check: (sources) =>
      production(sources).flatMap(([path, text]) => {
        const lines = text.split('\n')
        const excused = lines.slice(0, 12).some((line) => /\bsize: \S.{9,}/.test(line))
        return lines.length - 1 > 250 && !excused ? [`${path} has ${lines.length - 1} lines`] : []
      }),
  },
  {
    name: 'names',
    law: 'Files are kebab-case and named for their duty: no utils, helpers, common, misc or types.',
    check: (sources) =>
      code(sources).flatMap(([path]) =>
        path
          .split('/')
          .slice(1)
          .some((part) => !/^[a-z][a-z0-9-]*(\.(test|d))?(\.ts)?$/.test(part) || /^(utils?|helpers?|common|misc|types)(\.ts)?$/.test(part))
          ? [path]
          : [],
      ),
  },
  {
    name: 'doubles-in-test',
    law: 'What stands in for something real, and what helps tests, is in test/: production carries none of it.',
    check: (sources) => {
      const named = production(sources)
        .filter(([path]) => /(^|[/-])(mock|fake|stub|double|test-kit|kit|fixture)s?([-.]|$)/.test(path))
        .map(([path]) => path)
      return [
        ...named,
        ...brokenImports(sources, production(sources), (_, { target }) => target === 'vitest' || /^(?:\.\.\/)*test\//.test(target)),
      ]
    },
  },
  {
    name: 'session-locks',
    law: "A lock that outlives its transaction stays with a pooler's connection: only what runs on the owner's direct connection takes one.",
    check: (sources) =>
      production(sources)
        .filter(([path, text]) => !ownerConnection.has(path) && /pg_(try_)?advisory_lock(_shared)?\(/.test(withoutComments(text)))
        .map(([path]) => path),
  },
  {
    name: 'no-any',
    law: 'Nothing escapes the types: no any, no ts-ignore; a test may expect a type error.',
    check: (sources) =>
      code(sources).flatMap(([path, text]) => {
        const escaped = /\bas any\b|[:<,(|]\s*any\b(?=[\s,;)>\]=|[])|<any>|\bany\[\]/.test(
          withoutComments(text).replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`[^`]*`/g, "''"),
        )
        return escaped || (isTest(path) ? /@ts-(ignore|nocheck)/ : /@ts-(ignore|nocheck|expect-error)/).test(text) ? [path] : []
      }),
  },
  {
    name: 'nothing-left-over',
    law: 'No note to finish something later is left in the sources.',
    check: (sources) => [...sources].flatMap(([path, text]) => (/\b(TODO|FIXME|XXX|HACK)\b/.test(text) ? [path] : [])),
  },
]
