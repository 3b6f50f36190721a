/** The flight recorder in the graph: what a directory asked and got, and trying it again without consequences. */
import type { Builder } from '../../../platform/graphql/builder.ts'
import { mayFail } from '../../../platform/graphql/command.ts'
import { encodeGlobalId } from '../../../platform/graphql/global-id.ts'
import { idArgument } from '../../../platform/graphql/id-argument.ts'
import type { Exchange, Scim } from './contract.ts'
import type { Marks } from './graph-rules.ts'

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

export function recorderGraph(builder: Builder, scim: Scim, { manage, subGraphs }: Marks): void {
  const Exchanged = builder.objectRef<Exchange>('ScimExchange').implement({
    description: 'One request of a directory and its answer, without secrets and personal values.',
    fieldAccess: manage,
    subGraphs,
    fields: (t) => ({
      id: t.id({ resolve: ({ id }) => encodeGlobalId('ScimExchange', id) }),
      requestId: t.exposeString('requestId'),
      at: t.expose('at', { type: 'DateTime' }),
      method: t.exposeString('method'),
      path: t.exposeString('path'),
      query: t.exposeString('query'),
      status: t.exposeInt('status'),
      scimType: t.exposeString('scimType', { nullable: true }),
      detail: t.exposeString('detail', { nullable: true, description: 'What a refusal said.' }),
      durationMs: t.exposeFloat('durationMs'),
      body: t.exposeString('body', { nullable: true, description: 'JSON.' }),
    }),
  })
  const Method = builder.enumType('ScimMethod', { values: methods })
  builder.queryField('scimExchanges', (t) =>
    t.field({
      type: [Exchanged],
      description: 'The newest first.',
      access: manage,
      subGraphs,
      args: {
        connectionId: t.arg.id({ required: true }),
        method: t.arg({ type: Method }),
        status: t.arg.int({ description: '404, or 4 for 400 to 499.' }),
        scimType: t.arg.string(),
        path: t.arg.string({ description: 'Part of it.' }),
        first: t.arg.int({ description: 'At most 200; 50 unless given.' }),
      },
      resolve: (_, { connectionId, method, status, scimType, path, first }, { scope }) =>
        scim.exchanges(scope, {
          connectionId: idArgument('ScimConnection', connectionId),
          ...(method ? { method } : {}),
          ...(status ? { status } : {}),
          ...(scimType ? { scimType } : {}),
          ...(path ? { path } : {}),
          ...(first ? { first } : {}),
        }),
    }),
  )

  const Replayed = builder.objectRef<Awaited<ReturnType<Scim['replay']>>>('ReplayedScimExchange').implement({
    description: 'What would be answered now. Nothing has changed.',
    fieldAccess: manage,
    subGraphs,
    fields: (t) => ({
      status: t.exposeInt('status'),
      scimType: t.exposeString('scimType', { nullable: true }),
      answer: t.exposeString('answer', { description: 'JSON.' }),
    }),
  })
  builder.mutationField('replayScimExchange', (t) =>
    t.field({
      type: Replayed,
      description: 'A dry run: everything is done and taken back.',
      access: manage,
      subGraphs,
      errors: mayFail,
      args: { id: t.arg.id({ required: true }) },
      resolve: (_, args, { scope }) => scim.replay(scope, { id: idArgument('ScimExchange', args.id) }),
    }),
  )
}
