/** Vault in the graph: a tenant's administrator sees how its keys are. */
import type { Plane } from '../../kernel/scope.ts'
import type { Builder } from '../../platform/graphql/builder.ts'
import { keyStatus, type KeyStatus, type Vault } from './contract.ts'

export function vaultGraph(builder: Builder, vault: Vault) {
  /** A program has no business with keys. */
  const subGraphs: Plane[] = ['console']
  const DataKeyState = builder.enumType('DataKeyState', { values: keyStatus.shape.keys.element.shape.state.options, subGraphs })
  const dates = <Name extends string>(...names: readonly Name[]) => names

  const DataKey = builder.objectRef<KeyStatus['keys'][number]>('DataKey').implement({
    description: 'A key of the tenant that seals nothing itself: it wraps the keys of its people.',
    subGraphs,
    fieldAccess: { permission: 'tenant:read' },
    fields: (t) => ({
      version: t.exposeInt('version'),
      state: t.field({ type: DataKeyState, resolve: ({ state }) => state }),
      keyId: t.exposeString('keyId', { description: 'The key at the KMS that wraps it.' }),
      own: t.exposeBoolean('own', { description: 'The tenant brought that key itself.' }),
      subjects: t.exposeInt('subjects', { description: 'How many people\'s keys it wraps.' }),
      createdAt: t.field({ type: 'DateTime', resolve: ({ createdAt }) => new Date(createdAt) }),
    }),
  })

  const Darkness = builder.objectRef<KeyStatus['timeToDark']>('TimeToDark').implement({
    description: 'How soon protected data is closed everywhere when the KMS stops giving the tenant\'s own key.',
    subGraphs,
    fieldAccess: { permission: 'tenant:read' },
    fields: (t) => ({
      boundMs: t.exposeInt('boundMs'),
      measuredMs: t.exposeInt('measuredMs', { nullable: true }),
      trouble: t.exposeString('trouble', { nullable: true }),
      ...Object.fromEntries(
        dates('lastOpenAt', 'darkSince', 'darkEverywhereBy').map((name) => [
          name,
          t.field({ type: 'DateTime', nullable: true, resolve: (row) => (row[name] === null ? null : new Date(row[name])) }),
        ]),
      ),
    }),
  })

  const Rotation = builder.objectRef<NonNullable<KeyStatus['rotation']>>('KeyRotation').implement({
    description: 'The last time the tenant\'s data key turned, or is turning.',
    subGraphs,
    fieldAccess: { permission: 'tenant:read' },
    fields: (t) => ({
      run: t.exposeString('run', { description: 'Its name in the audit trail.' }),
      finished: t.boolean({ resolve: ({ state }) => state === 'DONE' }),
      toVersion: t.exposeInt('toVersion'),
      done: t.exposeInt('done', { description: 'Keys that were wrapped anew.' }),
    }),
  })

  const Status = builder.objectRef<KeyStatus>('TenantKeyStatus').implement({
    subGraphs,
    fieldAccess: { permission: 'tenant:read' },
    fields: (t) => ({
      keys: t.field({ type: [DataKey], resolve: ({ keys }) => keys }),
      timeToDark: t.field({ type: Darkness, resolve: ({ timeToDark }) => timeToDark }),
      rotation: t.field({ type: Rotation, nullable: true, resolve: ({ rotation }) => rotation }),
    }),
  })

  builder.queryField('tenantKeys', (t) =>
    t.field({
      type: Status,
      access: { permission: 'tenant:read' },
      subGraphs,
      resolve: (_, __, { scope }) => vault.keyStatus(scope, {}),
    }),
  )

  return { KeyStatus: Status }
}

export type VaultGraph = ReturnType<typeof vaultGraph>

declare module '../../platform/module.ts' {
  interface Graphs {
    vault: VaultGraph
  }
}
