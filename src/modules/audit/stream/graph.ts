/** Streaming in the graph: where the trail goes to and how it goes, for the compliance officer. */
import type { Builder } from '../../../platform/graphql/builder.ts'
import { inCommand, mayFail } from '../../../platform/graphql/command.ts'
import { withoutNulls } from '../../../platform/graphql/input.ts'
import { planesOf } from '../../access/contract.ts'
import type { AuditStreams, StreamState } from './contract.ts'

const access = { permission: 'audit:export' } as const

export function streamGraph(builder: Builder, streams: AuditStreams): void {
  const subGraphs = [...planesOf(access.permission)]
  const Standing = builder.enumType('AuditStreamStanding', {
    description: 'WAITING: nothing was taken yet. RETRYING: the last batch was not taken. FAILING: five in a row were not.',
    subGraphs,
    values: ['WAITING', 'FLOWING', 'RETRYING', 'FAILING'] as const,
  })
  const Stream = builder.objectRef<StreamState>('AuditStream').implement({
    description: "Where the trail is streamed to, and how it goes. The receiver's token is not shown again.",
    subGraphs,
    fieldAccess: access,
    fields: (t) => ({
      url: t.exposeString('url'),
      standing: t.field({ type: Standing, resolve: ({ standing }) => standing }),
      cursor: t.exposeInt('cursor', { description: 'Number of the last line that the receiver has taken.' }),
      head: t.exposeInt('head', { description: 'Number of the newest sealed line.' }),
      failures: t.exposeInt('failures', { description: 'In a row.' }),
      problem: t.exposeString('problem', { nullable: true }),
      sentAt: t.field({ type: 'DateTime', nullable: true, resolve: ({ sentAt }) => (sentAt === null ? null : new Date(sentAt)) }),
      nextAt: t.field({ type: 'DateTime', resolve: ({ nextAt }) => new Date(nextAt) }),
      vouched: t.exposeBoolean('vouched', { description: 'The operator answers for a private address.' }),
    }),
  })
  const Made = builder.objectRef<StreamState & { secret: string }>('ConfiguredAuditStream').implement({
    subGraphs,
    fieldAccess: access,
    fields: (t) => ({
      stream: t.field({ type: Stream, resolve: (made) => made }),
      secret: t.exposeString('secret', { description: 'Signs every batch (header x-maristan-signature). Shown this once.' }),
    }),
  })
  const Stopped = builder.objectRef<{ cursor: number }>('StoppedAuditStream').implement({
    subGraphs,
    fieldAccess: access,
    fields: (t) => ({ cursor: t.exposeInt('cursor', { description: 'Number of the last line that the receiver has taken.' }) }),
  })

  builder.queryField('auditStream', (t) =>
    t.field({
      type: Stream,
      nullable: true,
      access,
      subGraphs,
      resolve: async (_, __, { scope }) => (await streams.streamState(scope, {})).state,
    }),
  )
  const Input = builder.inputType('SetAuditStreamInput', {
    subGraphs,
    fields: (t) => ({
      url: t.string({ required: true, description: 'By https.' }),
      token: t.string({ description: 'Sent as a bearer token.' }),
      authorities: t.string({ description: 'Certificates in PEM that count beside the public ones.' }),
      fromNow: t.boolean({ description: 'Without what was sealed before.' }),
    }),
  })
  builder.mutationField('setAuditStream', (t) =>
    t.field({
      type: Made,
      access,
      errors: mayFail,
      args: { input: t.arg({ type: Input, required: true }) },
      resolve: (_, { input }, context) => inCommand(context, 'setAuditStream', (scope) => streams.setStream(scope, withoutNulls(input))),
    }),
  )
  builder.mutationField('stopAuditStream', (t) =>
    t.field({
      type: Stopped,
      access,
      errors: mayFail,
      resolve: (_, __, context) => inCommand(context, 'stopAuditStream', (scope) => streams.stopStream(scope, {})),
    }),
  )
}
