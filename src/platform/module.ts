/**
 * What a module is: a manifest that declares everything the building must know, and two factories, its contract's and its
 * part of the graph. The building finds everything here; there are no hand-kept lists.
 */
import type { Clock } from '../kernel/clock.ts'
import type { DeliveredEvent, EventType } from '../kernel/event.ts'
import type { Scope } from '../kernel/scope.ts'
import type { Config } from './config.ts'
import type { Methods } from './contract.ts'
import type { Kms } from './crypto/kms.ts'
import { authLogin, workerLogin, type Login } from './db/logins.ts'
import { unitOf, type ModelName, type Only, type RawSql, type Unit } from './db/unit.ts'
import type { Envelope, Envelopes } from './envelopes.ts'
import type { Builder } from './graphql/builder.ts'
import type { Log } from './http/log.ts'
import type { Route } from './http/router.ts'
import type { Mail } from './mail.ts'

export { authLogin, workerLogin }

/** The contract of each module by its name. A module's `contract.ts` adds its own line by declaration merging. */
export interface Contracts {}

/** What each module's graph hands to the modules that need it. A module's `graph.ts` adds its own line. */
export interface Graphs {}

/** The tables of one module, in whatever transaction the scope's unit of work has open. */
export type ModuleDb<Models extends ModelName> = (scope: Scope) => Only<Models>

/** Raw SQL in the scope's transaction, for the modules that declare it. */
export type ModuleSql = (scope: Scope) => RawSql

/** What happened to a record, for the person whom it is about. */
export const disclosureKinds = ['READ', 'EMERGENCY', 'SHARED', 'EXPORT', 'OPERATOR', 'MODEL'] as const
export type DisclosureKind = (typeof disclosureKinds)[number]

/**
 * A module's hook into the accounting of disclosures: lines of the trail with this action tell that somebody got to see a record. The
 * line names the recipient as its subject; or the tenant's own id, where it is about every recipient of the tenant.
 */
export interface Disclosure {
  readonly action: string
  readonly kind: DisclosureKind
}

/** What the building gives every module. */
export interface Services {
  readonly clock: Clock
  readonly log: Log
  readonly config: Config
  readonly kms: Kms
  readonly mail: Mail
}

export interface Platform<Models extends ModelName> extends Services {
  readonly db: ModuleDb<Models>
  /** Refuses unless the manifest says `rawSql`. */
  readonly sql: ModuleSql
  /** What all modules of the building declared to be a disclosure, by action. */
  readonly disclosures: ReadonlyMap<string, DisclosureKind>
  /** What all modules of the building declared to be sealed together. */
  readonly envelopes: Envelopes
}

/** What a module's `build` makes: its contract, and whatever its own graph and routes share (its repo). */
export interface Built {
  readonly contract: object
}

/** A handler of another module's (or one's own) event. At least once: it recognises an `eventId` it has seen. */
export interface EventHandler<Made extends Built> {
  readonly event: string
  handle(made: Made, scope: Scope, event: DeliveredEvent): Promise<void>
}

/** Work on a schedule, in every tenant or once outside all of them. */
export type ScheduledJob<Made extends Built> = {
  readonly name: string
  /** Five cron fields, UTC. */
  readonly cron: string
  readonly inEveryTenant: boolean
} & (
  | {
      /** Whose rights it has; the worker's unless said. */
      readonly login?: Login
      /** One command: all or nothing, with a trace that it ran. */
      run(made: Made, scope: Scope): Promise<void>
    }
  | {
      /** Work too long for one command: `open` gives units of work, and what commits in one stays when the run is cut off. */
      runInSteps(made: Made, open: () => Unit): Promise<void>
    }
)

export interface Module<
  Name extends string = string,
  Needs extends keyof Contracts = keyof Contracts,
  Models extends ModelName = ModelName,
  Made extends Built = Built,
  Graph = unknown,
> {
  readonly name: Name
  /** One sentence: what it is for and what it never does. */
  readonly summary: string
  /** Modules whose contracts and graphs it is given; acyclic. */
  readonly needs: readonly Needs[]
  readonly owns: readonly Models[]
  /** Permissions whose operations live here. */
  readonly permissions: readonly string[]
  readonly events: readonly EventType[]
  readonly handles: readonly EventHandler<Made>[]
  readonly jobs: readonly ScheduledJob<Made>[]
  /** Its actions that count in a recipient's accounting of disclosures. */
  readonly disclosures: readonly Disclosure[]
  /** Which fields of its models are sealed, and which of them together. */
  readonly envelopes: readonly Envelope<Models>[]
  /** True when its repo needs SQL that the client cannot say. */
  readonly rawSql: boolean
  /** The methods that may travel over a wire; only extractable modules have them. */
  readonly wire: Methods | null
  /**
   * Makes sure, before the server listens, that what belongs to no tenant is there (keys). `open` gives units of work
   * outside every tenant. Two processes may boot at once.
   */
  boot?(made: Made, open: () => Unit): Promise<void>
  /** Resolves when what answered requests left running is done (letters being spooled). Called on stop, after the last answer. */
  settle?(made: Made): Promise<void>
  /** Lets go of what it holds (keys in memory, connections of its own). Called last on stop, when nothing works any more. */
  release?(made: Made): void
  build(platform: Platform<Models>, needs: Pick<Contracts, Needs>): Made
  graph?(builder: Builder, refs: Pick<Graphs, Needs & keyof Graphs>, made: Made): Graph
  routes?(platform: Platform<Models>, made: Made, needs: Pick<Contracts, Needs>): readonly Route[]
}

type Optional = 'permissions' | 'events' | 'handles' | 'jobs' | 'disclosures' | 'envelopes' | 'rawSql' | 'wire'

/** Declares a module. What is left out is empty. */
export function defineModule<
  const Name extends string,
  const Needs extends keyof Contracts,
  const Models extends ModelName,
  Made extends Built,
  Graph = undefined,
>(
  manifest: Omit<Module<Name, Needs, Models, Made, Graph>, Optional> & Partial<Pick<Module<Name, Needs, Models, Made, Graph>, Optional>>,
): Module<Name, Needs, Models, Made, Graph> {
  return { permissions: [], events: [], handles: [], jobs: [], disclosures: [], envelopes: [], rawSql: false, wire: null, ...manifest }
}

/** Any module, its types erased: what the composition root walks over. */
export type AnyModule = Module<string, keyof Contracts, ModelName, Built, unknown>

/** The platform as one module sees it: its own tables, and raw SQL only if declared. */
export function platformFor<Models extends ModelName>(
  module: { readonly name: string; readonly owns: readonly Models[]; readonly rawSql: boolean },
  services: Services,
  { disclosures = new Map(), envelopes = new Map() }: Partial<Pick<Platform<Models>, 'disclosures' | 'envelopes'>> = {},
): Platform<Models> {
  return {
    ...services,
    disclosures,
    envelopes,
    db: (scope) => unitOf(scope).only(module.owns),
    sql: (scope) => {
      if (!module.rawSql) throw new Error(`Module ${module.name} did not declare rawSql.`)
      return unitOf(scope).sql
    },
  }
}

/** The modules in an order in which each comes after what it needs. @throws on a cycle or an unknown name. */
export function inOrder(modules: readonly AnyModule[]): AnyModule[] {
  const byName = new Map(modules.map((module) => [module.name, module]))
  if (byName.size !== modules.length) throw new Error('Two modules have the same name.')
  const ordered: AnyModule[] = []
  const state = new Map<string, 'entered' | 'done'>()
  const visit = (module: AnyModule, path: readonly string[]) => {
    if (state.get(module.name) === 'done') return
    const way = [...path, module.name]
    if (state.get(module.name) === 'entered') throw new Error(`Modules need each other in a circle: ${way.join(' -> ')}.`)
    state.set(module.name, 'entered')
    for (const name of module.needs as readonly string[]) {
      const needed = byName.get(name)
      if (!needed) throw new Error(`Module ${module.name} needs ${name}, which does not exist.`)
      visit(needed, way)
    }
    state.set(module.name, 'done')
    ordered.push(module)
  }
  for (const module of modules) visit(module, [])
  return ordered
}

/** What the modules declared to be a disclosure. @throws when two of them declare one action. */
export function disclosuresOf(modules: readonly Pick<AnyModule, 'name' | 'disclosures'>[]): ReadonlyMap<string, DisclosureKind> {
  const declared = new Map<string, DisclosureKind>()
  for (const { name, disclosures } of modules) {
    for (const { action, kind } of disclosures) {
      if (declared.has(action)) throw new Error(`Module ${name} declares the disclosure ${action}, which another declares too.`)
      declared.set(action, kind)
    }
  }
  return declared
}

/** Sentences on what declarations and marks disagree about: a declared permission without a guard, a guard not declared. */
export function permissionGap(modules: readonly AnyModule[], guarded: ReadonlySet<string>): string[] {
  const declared = new Set<string>()
  const gap: string[] = []
  for (const { name, permissions } of modules) {
    for (const permission of permissions) {
      declared.add(permission)
      if (!guarded.has(permission)) gap.push(`Permission ${permission} of ${name} guards no field.`)
    }
  }
  for (const permission of guarded) if (!declared.has(permission)) gap.push(`Permission ${permission} guards a field but no module declares it.`)
  return gap
}
