/** The audit trail in the graph. It goes through the contract only, so that the module may live in another process. */
import { formatPrismaCursor, parsePrismaCursor } from '@pothos/plugin-prisma'
import { invalidInput, notFound } from '../../kernel/fault.ts'
import type { Builder } from '../../platform/graphql/builder.ts'
import { pageSize } from '../../platform/graphql/cost.ts'
import { decodeGlobalId, encodeGlobalId } from '../../platform/graphql/global-id.ts'
import { withoutNulls } from '../../platform/graphql/input.ts'
import { disclosureKinds } from '../../platform/module.ts'
import type { Audit, AuditEventView, AuditPage } from './contract.ts'

const access = { permission: 'audit:read' } as const
const subGraphs = ['console', 'consumer', 'integrator'] as const

/** What an actor's id names; a member's is its membership. */
const actorTypes: Readonly<Record<string, string>> = { integration: 'ApiToken', directory: 'DirectoryConnection' }

interface PageArguments {
  readonly first?: number | null | undefined
  readonly after?: string | null | undefined
  readonly last?: number | null | undefined
  readonly before?: string | null | undefined
}

export function auditGraph(builder: Builder, audit: Audit) {
  const Detail = builder.objectRef<AuditEventView['detail'][number]>('AuditDetail').implement({
    description: 'A code, a count or the name of a field; never a value of a record.',
    fieldAccess: access,
    fields: (t) => ({ name: t.exposeString('name'), value: t.exposeString('value') }),
  })

  const Outcome = builder.enumType('AuditOutcome', {
    values: { DONE: { value: 'done' }, DENIED: { value: 'denied' }, FAILED: { value: 'failed' } } as const,
  })

  const DisclosureKind = builder.enumType('DisclosureKind', { values: disclosureKinds, subGraphs: [...subGraphs] })

  const Event = builder.objectRef<AuditEventView>('AuditEvent').implement({
    description: 'One line of the audit trail: who did what, to which record, from where.',
    fieldAccess: access,
    fields: (t) => ({
      id: t.id({ resolve: (event) => encodeGlobalId('AuditEvent', event.id) }),
      at: t.field({ type: 'DateTime', resolve: (event) => event.at, description: "The database's clock." }),
      actorKind: t.exposeString('actorKind', { description: 'member, integration, directory, system, operator or anonymous.' }),
      actorId: t.id({
        nullable: true,
        resolve: ({ actorId, actorKind }) => actorId && encodeGlobalId(actorTypes[actorKind] ?? 'Membership', actorId),
      }),
      plane: t.exposeString('plane', { nullable: true }),
      action: t.exposeString('action'),
      resource: t.exposeString('resource', { description: 'The kind of record.' }),
      resourceId: t.id({ nullable: true, resolve: ({ resource, resourceId }) => resourceId && encodeGlobalId(resource, resourceId) }),
      subjectId: t.id({
        nullable: true,
        description: 'The recipient whose record this is about.',
        resolve: ({ subjectId }) => subjectId && encodeGlobalId('CareRecipient', subjectId),
      }),
      outcome: t.field({ type: Outcome, resolve: (event) => event.outcome }),
      purpose: t.exposeString('purpose', { nullable: true, description: 'Why personal health data was read.' }),
      requestId: t.exposeString('requestId'),
      sessionId: t.id({ nullable: true, resolve: ({ sessionId }) => sessionId && encodeGlobalId('Session', sessionId) }),
      signInMethod: t.exposeString('signInMethod', { nullable: true }),
      sourceAddress: t.exposeString('sourceAddress', { nullable: true }),
      userAgent: t.exposeString('userAgent', { nullable: true }),
      detail: t.field({ type: [Detail], resolve: (event) => event.detail }),
      disclosure: t.field({
        type: DisclosureKind,
        nullable: true,
        description: 'How this let somebody see the record; null for what did not.',
        resolve: (event) => event.disclosure,
      }),
    }),
  })

  const Filter = builder.inputType('AuditEventFilter', {
    fields: (t) => ({
      actorId: t.id(),
      subjectId: t.id({ description: 'A recipient.' }),
      resource: t.string(),
      resourceId: t.id(),
      action: t.string(),
      outcome: t.field({ type: Outcome }),
      from: t.field({ type: 'DateTime', description: 'From this moment on.' }),
      to: t.field({ type: 'DateTime', description: 'Until before this moment.' }),
    }),
  })

  builder.queryField('auditEvents', (t) =>
    t.connection(
      {
        type: Event,
        access,
        description: "The audit trail, newest first; for family, what concerns their own recipients. Pages with first and after.",
        args: { filter: t.arg({ type: Filter }) },
        resolve: async (_, { filter, ...args }, { scope }) => {
          const { actorId, subjectId, resourceId, from, to, ...words } = withoutNulls(filter ?? {})
          const page = await audit.events(scope, {
            ...words,
            ...given('actorId', actorId && idOf(actorId)),
            ...given('subjectId', subjectId && idOf(subjectId, 'CareRecipient')),
            ...given('resourceId', resourceId && idOf(resourceId)),
            ...given('from', from?.toISOString()),
            ...given('to', to?.toISOString()),
            ...pageOf(args),
          })
          return connection(page, scope.tenantId, args)
        },
      },
      { subGraphs } as never,
      { subGraphs } as never,
    ),
  )

  builder.queryField('accountingOfDisclosures', (t) =>
    t.connection(
      {
        type: Event,
        access,
        description: "Who looked at or changed one recipient's record, newest first. Pages with first and after.",
        args: {
          recipientId: t.arg.id({ required: true }),
          disclosuresOnly: t.arg.boolean({ description: 'Only who got to see it: reads, emergencies, exports, what was shared.' }),
        },
        resolve: async (_, { recipientId, disclosuresOnly, ...args }, { scope }) => {
          const page = await audit.accountOfAccess(scope, {
            recipientId: idOf(recipientId, 'CareRecipient'),
            disclosures: disclosuresOnly === true,
            ...pageOf(args),
          })
          return connection(page, scope.tenantId, args)
        },
      },
      { subGraphs } as never,
      { subGraphs } as never,
    ),
  )

  return { AuditEvent: Event }
}

const given = <Name extends string>(name: Name, value: string | undefined) =>
  (value === undefined ? {} : { [name]: value }) as Partial<Record<Name, string>>

/** A malformed id, or one of another kind, names nothing. */
function idOf(globalId: string, kind?: string): string {
  const { typename, id } = decodeGlobalId(globalId)
  if (id === '' || (kind !== undefined && typename !== kind)) throw notFound()
  return id
}

function pageOf({ first, after, last, before }: PageArguments): { first: number; after?: string } {
  for (const [path, value] of Object.entries({ last, before })) {
    if (value !== undefined && value !== null) {
      throw invalidInput({ issues: [{ path, message: 'this list is read forward, with first and after' }] })
    }
  }
  // The cursor comes from inside as the composite key; its second part is the event's id.
  const [, id] = typeof after === 'string' ? (parsePrismaCursor(after) as [string, string]) : []
  return { first: pageSize(first), ...(id === undefined ? {} : { after: id }) }
}

function connection({ events, more }: AuditPage, tenantId: string, { after }: PageArguments) {
  const edges = events.map((node) => ({ node, cursor: formatPrismaCursor({ tenantId, id: node.id }, ['tenantId', 'id']) }))
  return {
    edges,
    pageInfo: {
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
      hasNextPage: more,
      hasPreviousPage: typeof after === 'string',
    },
  }
}

export type AuditGraph = ReturnType<typeof auditGraph>

declare module '../../platform/module.ts' {
  interface Graphs {
    audit: AuditGraph
  }
}
