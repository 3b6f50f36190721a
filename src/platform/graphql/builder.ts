/** The one schema builder: its plugins in the order that works together, and the types that belong to no module. */
import SchemaBuilder from '@pothos/core'
import DataloaderPlugin from '@pothos/plugin-dataloader'
import ErrorsPlugin from '@pothos/plugin-errors'
import PrismaPlugin from '@pothos/plugin-prisma'
import RelayPlugin from '@pothos/plugin-relay'
import ScopeAuthPlugin from '@pothos/plugin-scope-auth'
import SubGraphPlugin from '@pothos/plugin-sub-graph'
import { GraphQLError, GraphQLScalarType, isObjectType, Kind } from 'graphql'
import {
  AbsentFault,
  ConflictFault,
  DeniedFault,
  forbidden,
  InvalidFault,
  LimitedFault,
  unauthenticated,
  UnavailableFault,
  type Fault,
} from '../../kernel/fault.ts'
import { planes, type Plane } from '../../kernel/scope.ts'
import type PrismaTypes from '../db/generated/pothos-types.ts'
import { getDatamodel } from '../db/generated/pothos-types.ts'
import type { Access } from './access.ts'
import './access.ts'
import type { Context } from './context.ts'
import { defaultPage, maxPage } from './cost.ts'
import './cursor.ts'
import { decodeGlobalId, encodeGlobalId } from './global-id.ts'

export interface SchemaTypes {
  Context: Context
  PrismaTypes: PrismaTypes
  SubGraphs: Plane
  DefaultFieldNullability: false
  DefaultEdgesNullability: false
  AuthScopes: { authenticated: boolean; permission: string }
  Scalars: { DateTime: { Input: Date; Output: Date } }
}

/** The kinds of expected failure a mutation may answer with, as classes and as GraphQL types. */
export const faultClasses = { AbsentFault, DeniedFault, ConflictFault, InvalidFault, LimitedFault, UnavailableFault }

export function createBuilder(options: { planesOf: (permission: string) => readonly Plane[] }) {
  const builder = new SchemaBuilder<SchemaTypes>({
    planesOf: options.planesOf,
    defaultFieldNullability: false,
    // Field configs are made from right to left: marks first, then sub-graphs; errors outermost, so that it sees refusals.
    plugins: [
      ErrorsPlugin,
      ScopeAuthPlugin,
      'cursor',
      RelayPlugin,
      DataloaderPlugin,
      PrismaPlugin,
      SubGraphPlugin,
      'globalId',
      'access',
    ] as never,
    errors: { directResult: true, defaultTypes: [], unsafelyHandleInputErrors: true },
    scopeAuth: {
      authorizeOnSubscribe: true,
      unauthorizedError: (_parent, context, info) => {
        if (context.caller.actor.kind === 'anonymous') return unauthenticated()
        const access = info.parentType.getFields()[info.fieldName]?.extensions['access'] as Access
        const permission = typeof access === 'object' ? access.permission : 'authenticated'
        context.unit.record({
          action: 'access.denied',
          resource: info.parentType.name,
          outcome: 'denied',
          detail: { field: info.fieldName, permission },
        })
        return forbidden({ permission })
      },
      authScopes: ({ caller }) => ({
        authenticated: caller.actor.kind !== 'anonymous',
        permission: (permission: string) => caller.permissions.has(permission),
      }),
    },
    relay: {
      encodeGlobalID: encodeGlobalId,
      decodeGlobalID: decodeGlobalId,
      nodeTypeOptions: { fieldAccess: 'structural' },
      idFieldOptions: { access: 'structural' } as never,
      pageInfoTypeOptions: { fieldAccess: 'structural' },
      nodeQueryOptions: {
        access: 'authenticated',
        nullable: true,
        // A type outside this plane, or one the caller may not read, is simply not there.
        resolve: (_parent, { id }, context, info, load) => {
          const type = info.schema.getType(id.typename)
          const permission = isObjectType(type) ? (type.extensions['nodePermission'] as string | undefined) : undefined
          return permission && context.caller.permissions.has(permission) ? (load(id) as never) : null
        },
      },
      nodesQueryOptions: false,
    },
    prisma: {
      client: (context) => context.db as never,
      dmmf: getDatamodel(),
      defaultConnectionSize: defaultPage,
      maxConnectionSize: maxPage,
      onUnusedQuery: 'error',
    },
    subGraphs: { defaultForTypes: [...planes], fieldsInheritFromTypes: true },
  })
  builder.queryType({})
  builder.mutationType({})
  builder.subscriptionType({ description: 'The answer now, and again after every change that shows in it.' })
  builder.addScalarType('DateTime', dateTime)
  addFaults(builder)
  return builder
}

export type Builder = ReturnType<typeof createBuilder>

/** RFC 3339 date and time with an offset; answers in UTC with milliseconds. */
const dateTime = new GraphQLScalarType<Date, string>({
  name: 'DateTime',
  description: 'A moment, as RFC 3339 text with an offset, for example `2030-01-31T09:30:00Z`. Answers are in UTC.',
  serialize: (value) => (value as Date).toISOString(),
  parseValue: (value) => parseDateTime(value),
  parseLiteral: (node) => parseDateTime(node.kind === Kind.STRING ? node.value : null),
})

function parseDateTime(value: unknown): Date {
  const form = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/
  const moment = typeof value === 'string' && form.test(value) ? new Date(value) : null
  // An offset may carry a moment out of the years that four digits write, which Postgres reads otherwise or not at all.
  const year = moment?.getUTCFullYear() ?? Number.NaN
  if (!moment || !(year >= 1 && year <= 9999)) throw new GraphQLError('A DateTime is RFC 3339 text with an offset.')
  return moment
}

/** `Fault` and its kinds: what a mutation answers when it could not do what was asked. */
function addFaults(builder: Builder): void {
  const shape = builder.interfaceRef<Fault>('Fault').implement({
    description: 'An expected failure. `code` is stable; `message` says what to do and may be shown.',
    fieldAccess: 'public',
    fields: (t) => ({ code: t.exposeString('code'), message: t.exposeString('message') }),
  })
  for (const [name, faultClass] of Object.entries(faultClasses)) {
    if (faultClass === InvalidFault || faultClass === LimitedFault) continue
    builder.objectType(faultClass as typeof AbsentFault, { name, interfaces: [shape], fieldAccess: 'public' })
  }
  const issue = builder.objectRef<{ path: string; message: string }>('InputIssue').implement({
    fieldAccess: 'public',
    fields: (t) => ({ path: t.exposeString('path'), message: t.exposeString('message') }),
  })
  builder.objectType(InvalidFault<{ issues?: { path: string; message: string }[] } | undefined>, {
    name: 'InvalidFault',
    interfaces: [shape],
    fieldAccess: 'public',
    fields: (t) => ({ issues: t.field({ type: [issue], resolve: (fault) => fault.data?.issues ?? [] }) }),
  })
  builder.objectType(LimitedFault<{ retryAfterSeconds?: number } | undefined>, {
    name: 'LimitedFault',
    interfaces: [shape],
    fieldAccess: 'public',
    fields: (t) => ({
      retryAfterSeconds: t.int({ nullable: true, resolve: (fault) => fault.data?.retryAfterSeconds ?? null }),
    }),
  })
}
