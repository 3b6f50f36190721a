/** Tenancy in the graph: who stands behind this door, and its settings. */
import type { Builder } from '../../platform/graphql/builder.ts'
import { inCommand, mayFail } from '../../platform/graphql/command.ts'
import { directionOf, locales } from '../../kernel/locale.ts'
import { withoutNulls } from '../../platform/graphql/input.ts'
import type { Tenancy, TenantSettings } from './contract.ts'

export function tenancyGraph(builder: Builder, tenancy: Tenancy) {
  const Locale = builder.enumType('Locale', { values: locales })
  const Direction = builder.enumType('Direction', { values: ['LTR', 'RTL'] as const })

  const Front = builder.objectRef<Awaited<ReturnType<Tenancy['front']>>>('TenantFront').implement({
    description: 'What anybody may know of the tenant before signing in.',
    fieldAccess: 'public',
    fields: (t) => ({
      slug: t.exposeString('slug'),
      legalName: t.exposeString('legalName'),
      defaultLocale: t.field({ type: Locale, resolve: (front) => front.defaultLocale }),
      direction: t.field({ type: Direction, resolve: (front) => directionOf(front.defaultLocale) }),
    }),
  })

  const Settings = builder.objectRef<TenantSettings>('TenantSettings').implement({
    fieldAccess: { permission: 'tenant:read' },
    fields: (t) => ({
      slug: t.exposeString('slug'),
      legalName: t.exposeString('legalName'),
      kind: t.exposeString('kind'),
      defaultLocale: t.field({ type: Locale, resolve: (settings) => settings.defaultLocale }),
      timezone: t.exposeString('timezone', { description: 'IANA name.' }),
      currency: t.exposeString('currency', { description: 'ISO 4217 code.' }),
      version: t.exposeInt('version', { description: 'Hand it back with a change.' }),
    }),
  })

  builder.queryField('tenant', (t) => t.field({ type: Front, access: 'public', resolve: (_, __, { scope }) => tenancy.front(scope, {}) }))

  builder.queryField('tenantSettings', (t) =>
    t.field({
      type: Settings,
      access: { permission: 'tenant:read' },
      resolve: (_, __, { scope }) => tenancy.settings(scope, {}),
    }),
  )

  const UpdateTenantInput = builder.inputType('UpdateTenantInput', {
    fields: (t) => ({
      version: t.int({ required: true }),
      legalName: t.string(),
      defaultLocale: t.field({ type: Locale }),
      timezone: t.string(),
      currency: t.string(),
    }),
  })
  builder.mutationField('updateTenant', (t) =>
    t.field({
      type: Settings,
      access: { permission: 'tenant:update' },
      errors: mayFail,
      args: { input: t.arg({ type: UpdateTenantInput, required: true }) },
      resolve: (_, { input }, context) =>
        inCommand(context, 'updateTenant', (scope) => tenancy.update(scope, withoutNulls(input))),
    }),
  )

  return { Locale, Direction }
}

export type TenancyGraph = ReturnType<typeof tenancyGraph>

declare module '../../platform/module.ts' {
  interface Graphs {
    tenancy: TenancyGraph
  }
}
