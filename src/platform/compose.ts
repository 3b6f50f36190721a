/** Puts modules together: contracts and graphs in the order of `needs`, then the schemas of all planes. Knows no module. */
import { permissionGap, type AnyModule, type Built, type Services, disclosuresOf, inOrder, platformFor } from './module.ts'
import type { Database } from './db/database.ts'
import { envelopesOf } from './envelopes.ts'
import { assertDeclared } from './outbox/declared.ts'
import { createBuilder } from './graphql/builder.ts'
import { buildSchemas, type Schemas } from './graphql/planes.ts'
import type { Route } from './http/router.ts'
import { noTenant, type Plane } from '../kernel/scope.ts'
import { newId } from '../kernel/id.ts'

export interface Composed {
  readonly modules: readonly AnyModule[]
  /** What each module built, by its name. */
  readonly made: Readonly<Record<string, Built>>
  /**
   * Drawn when first asked for: a command that serves no GraphQL does without them.
   * @throws when a field is unmarked, or a declared permission guards nothing
   */
  readonly schemas: Schemas
  readonly routes: readonly Route[]
  /** Runs every module's `boot`, in order. */
  boot(): Promise<void>
  /** Waits for what modules left running behind their answers. */
  settle(): Promise<void>
  /** Has every module let go of what it holds. */
  release(): void
}

export interface ComposeOptions {
  readonly modules: readonly AnyModule[]
  readonly services: Services
  readonly database: Database
  /** The planes whose roles hold a permission; throws for an unknown one. */
  readonly planesOf: (permission: string) => readonly Plane[]
}

const pick = (from: Readonly<Record<string, unknown>>, names: readonly string[]): never =>
  Object.fromEntries(names.map((name) => [name, from[name]])) as never

/** @throws when modules need each other in a circle, or sealed fields that do not belong together share an envelope. */
export function compose({ modules, services, database, planesOf }: ComposeOptions): Composed {
  const ordered = inOrder(modules)
  assertDeclared(ordered)
  const declared = { disclosures: disclosuresOf(ordered), envelopes: envelopesOf(ordered) }
  const made: Record<string, Built> = {}
  const contracts: Record<string, unknown> = {}
  const routes: Route[] = []
  for (const module of ordered) {
    const platform = platformFor(module, services, declared)
    const needs = pick(contracts, module.needs)
    const built = module.build(platform, needs)
    made[module.name] = built
    contracts[module.name] = built.contract
    routes.push(...(module.routes?.(platform, built, needs) ?? []))
  }
  const draw = (): Schemas => {
    const graphs: Record<string, unknown> = {}
    const builder = createBuilder({ planesOf })
    for (const { name, needs, graph } of ordered) graphs[name] = graph?.(builder, pick(graphs, needs), made[name]!)
    const schemas = buildSchemas(builder, declared.envelopes)
    const gap = permissionGap(ordered, schemas.guarded)
    if (gap.length > 0) throw new Error(gap.join(' '))
    return schemas
  }
  let drawn: Schemas | null = null

  const open = () =>
    database.unit({
      tenantId: noTenant,
      plane: null,
      actor: { kind: 'anonymous' },
      permissions: new Set(),
      purpose: null,
      requestId: `boot-${newId()}`,
      sourceAddress: null,
      userAgent: null,
    })
  return {
    modules: ordered,
    made,
    get schemas() {
      return (drawn ??= draw())
    },
    routes,
    async boot() {
      for (const module of ordered) await module.boot?.(made[module.name]!, open)
    },
    async settle() {
      await Promise.all(ordered.map((module) => module.settle?.(made[module.name]!)))
    },
    release() {
      for (const module of ordered) module.release?.(made[module.name]!)
    },
  }
}
