/** The compliance officer's mutations: handing the trail out with its proof, and having its chain verified. */
import type { Builder } from '../../platform/graphql/builder.ts'
import { inCommand, mayFail } from '../../platform/graphql/command.ts'
import { decodeGlobalId } from '../../platform/graphql/global-id.ts'
import { withoutNulls } from '../../platform/graphql/input.ts'
import { notFound } from '../../kernel/fault.ts'
import type { Audit, Verdict } from './contract.ts'

const access = { permission: 'audit:export' } as const

export function exportGraph(builder: Builder, audit: Audit) {
  const Export = builder.objectRef<Awaited<ReturnType<Audit['exportBatch']>>>('AuditExport').implement({
    description: 'One batch of the trail as JSON Lines. It verifies alone, and together with the batches before it.',
    fieldAccess: access,
    fields: (t) => ({
      content: t.exposeString('text'),
      through: t.exposeInt('seq', { description: 'Number of its last line: the next batch begins after it.' }),
      lines: t.exposeInt('lines'),
      complete: t.exposeBoolean('last', { description: 'Nothing comes after it.' }),
    }),
  })

  const Bent = builder.objectRef<NonNullable<Verdict['firstBad']>>('AuditBentLine').implement({
    description: 'The first line of a chain that is not what was sealed.',
    fieldAccess: access,
    fields: (t) => ({
      seq: t.exposeInt('seq'),
      eventId: t.exposeString('eventId', { nullable: true }),
      problem: t.exposeString('problem', { description: 'edited, deleted, reordered, inserted, truncated, forked, recomputed ...' }),
      sentence: t.exposeString('sentence'),
    }),
  })

  const Verdict = builder.objectRef<Verdict>('AuditVerdict').implement({
    description: 'What verifying the chain against the checkpoints outside the database found.',
    fieldAccess: access,
    fields: (t) => ({
      ok: t.exposeBoolean('ok'),
      rows: t.exposeInt('rows'),
      from: t.exposeInt('from'),
      head: t.exposeInt('head'),
      checkpoints: t.exposeInt('checkpoints'),
      anchored: t.exposeInt('anchored', { nullable: true, description: 'The newest line that a signed checkpoint stands for.' }),
      unanchored: t.exposeInt('unanchored', { description: 'Lines after it.' }),
      unsealed: t.exposeInt('unsealed', { description: 'Lines of the last moment, which have no place in the chain yet.' }),
      firstBad: t.field({ type: Bent, nullable: true, resolve: ({ firstBad }) => firstBad }),
    }),
  })

  const ExportInput = builder.inputType('ExportAuditInput', {
    fields: (t) => ({
      after: t.int({ description: 'Number of the last line of the batch before; 0 for the first.' }),
      first: t.int({ description: 'At most 5000 lines; 1000 unless told.' }),
      recipientId: t.id({ description: 'Only lines about this recipient are shown; the others prove their place.' }),
      actorId: t.id(),
    }),
  })
  builder.mutationField('exportAudit', (t) =>
    t.field({
      type: Export,
      access,
      errors: mayFail,
      args: { input: t.arg({ type: ExportInput, required: true }) },
      resolve: (_, { input }, context) => {
        const { first, recipientId, actorId, ...rest } = withoutNulls(input)
        return inCommand(context, 'exportAudit', (scope) =>
          audit.exportBatch(scope, {
            ...rest,
            ...(first === undefined ? {} : { most: first }),
            ...(recipientId === undefined ? {} : { subjectId: idOf(recipientId, 'CareRecipient') }),
            ...(actorId === undefined ? {} : { actorId: idOf(actorId) }),
          }),
        )
      },
    }),
  )

  builder.mutationField('verifyAuditChain', (t) =>
    t.field({
      type: Verdict,
      access,
      errors: mayFail,
      description: 'Verifies the newest 50,000 lines, or as many after the number given.',
      args: { after: t.arg.int() },
      resolve: (_, { after }, context) =>
        inCommand(context, 'verifyAuditChain', (scope) => audit.verifyChain(scope, typeof after === 'number' ? { after } : {})),
    }),
  )
}

function idOf(globalId: string, kind?: string): string {
  const { typename, id } = decodeGlobalId(globalId)
  if (id === '' || (kind !== undefined && typename !== kind)) throw notFound()
  return id
}
