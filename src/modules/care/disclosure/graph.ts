/** Disclosure in the graph: grants for those who open and close them, and for a seller the records that are disclosed to it. */
import { notFound } from '../../../kernel/fault.ts'
import type { Scope } from '../../../kernel/scope.ts'
import type { Builder } from '../../../platform/graphql/builder.ts'
import { inCommand, mayFail } from '../../../platform/graphql/command.ts'
import type { Context } from '../../../platform/graphql/context.ts'
import { encodeGlobalId } from '../../../platform/graphql/global-id.ts'
import { idArgument } from '../../../platform/graphql/id-argument.ts'
import { withoutNulls } from '../../../platform/graphql/input.ts'
import { phiNotGranted, textOf } from '../../../platform/graphql/sealed.ts'
import { planesOf, rolesOf, scopeOf } from '../../access/contract.ts'
import type { CircleNodes } from '../circle/nodes.ts'
import type { Care, PhiField } from '../contract.ts'
import type { DisclosureView } from '../contract-disclosure.ts'
import type { CareSeals } from '../sealed.ts'
import type { DisclosureRepo } from './repo.ts'

/** What disclosure's graph stands on. */
export interface DisclosureGraphParts {
  readonly contract: Care
  readonly disclosures: DisclosureRepo
  readonly seals: CareSeals
}

type Disclosed = Awaited<ReturnType<Care['disclosed']>>['records'][number]
type DisclosedRow = Disclosed & { readonly envelope: { readonly id: string; readonly phi: string } }

/** The planes on which `phi:read` reaches what is disclosed, and nothing else. */
const disclosedTo = () => planesOf('phi:read').filter((plane) => rolesOf(plane).some((role) => scopeOf(role, 'phi:read') === 'G'))

export function disclosureGraph(builder: Builder, { PhiFieldName }: CircleNodes, parts: DisclosureGraphParts): void {
  managing(builder, PhiFieldName, parts.contract)
  reading(builder, PhiFieldName, parts)
}

function managing(builder: Builder, PhiFieldName: CircleNodes['PhiFieldName'], care: Care): void {
  const access = { permission: 'consent:manage' } as const
  const subGraphs = [...planesOf(access.permission)]
  const Grant = builder.objectRef<DisclosureView>('DisclosureGrant').implement({
    description: 'A member of a seller may read the named fields of a recipient, as far as consent goes, until a moment.',
    subGraphs,
    fieldAccess: access,
    fields: (t) => ({
      id: t.id({ resolve: ({ id }) => encodeGlobalId('DisclosureGrant', id) }),
      membershipId: t.id({ resolve: ({ membershipId }) => encodeGlobalId('Membership', membershipId), description: 'Who may read.' }),
      orderId: t.string({ nullable: true, resolve: ({ orderId }) => orderId }),
      fields: t.field({ type: [PhiFieldName], resolve: ({ fields }) => fields }),
      expiresAt: t.field({ type: 'DateTime', resolve: ({ expiresAt }) => new Date(expiresAt) }),
      closedAt: t.field({ type: 'DateTime', nullable: true, resolve: ({ revokedAt }) => (revokedAt === null ? null : new Date(revokedAt)) }),
    }),
  })

  builder.queryField('recipientDisclosures', (t) =>
    t.field({
      type: [Grant],
      access,
      subGraphs,
      description: "A recipient's newest 100 disclosure grants, the closed ones too.",
      extensions: { cost: 100 },
      args: { recipientId: t.arg.id({ required: true }) },
      resolve: async (_, { recipientId }, { scope }) =>
        (await care.disclosuresOf(scope, { recipientId: idArgument('CareRecipient', recipientId) })).grants,
    }),
  )

  const OpenInput = builder.inputType('OpenDisclosureInput', {
    subGraphs,
    fields: (t) => ({
      recipientId: t.id({ required: true }),
      granteeId: t.id({ required: true, description: 'The party that is the member who may read.' }),
      fields: t.field({ type: [PhiFieldName], required: true, description: 'What no live consent covers is left out.' }),
      expiresAt: t.field({ type: 'DateTime', required: true }),
    }),
  })
  builder.mutationField('openDisclosure', (t) =>
    t.field({
      type: Grant,
      access,
      errors: mayFail,
      args: { input: t.arg({ type: OpenInput, required: true }) },
      resolve: (_, { input }, context) =>
        inCommand(context, 'openDisclosure', (scope) => {
          const { recipientId, granteeId, expiresAt, fields } = withoutNulls(input)
          return care.openDisclosure(scope, {
            fields,
            recipientId: idArgument('CareRecipient', recipientId),
            granteeId: idArgument('CareParty', granteeId),
            expiresAt: expiresAt.toISOString(),
          })
        }),
    }),
  )
  builder.mutationField('closeDisclosure', (t) =>
    t.field({
      type: Grant,
      access,
      errors: mayFail,
      args: { id: t.arg.id({ required: true }) },
      resolve: (_, { id }, context) =>
        inCommand(context, 'closeDisclosure', (scope) => care.closeDisclosure(scope, { id: idArgument('DisclosureGrant', id) })),
    }),
  )
}

function reading(builder: Builder, PhiFieldName: CircleNodes['PhiFieldName'], { contract: care, disclosures, seals }: DisclosureGraphParts): void {
  const access = { permission: 'phi:read' } as const
  const subGraphs = disclosedTo()

  const records = async (scope: Scope, id?: string): Promise<DisclosedRow[]> => {
    const { records: granted } = await care.disclosed(scope, id === undefined ? {} : { id })
    const envelopes = await disclosures.envelopes(scope, [...new Set(granted.map(({ recipientId }) => recipientId))])
    const byId = new Map(envelopes.map((envelope) => [envelope.id, envelope]))
    return granted.flatMap((one) => {
      const envelope = byId.get(one.recipientId)
      return envelope ? [{ ...one, envelope }] : []
    })
  }

  const open = async (context: Context, { fields, envelope }: DisclosedRow, name: PhiField): Promise<string | null> => {
    if (fields.includes(name)) return textOf((await seals.readDisclosed(context, envelope, [name]))[name])
    context.scope.unit.record({
      action: 'phi.read',
      resource: 'CareRecipient',
      resourceId: envelope.id,
      subjectId: envelope.id,
      outcome: 'denied',
      detail: { fields: [name] },
    })
    throw phiNotGranted()
  }

  const Record = builder.objectRef<DisclosedRow>('DisclosedRecord').implement({
    description: 'The fields of a recipient that are disclosed to the caller now. The others are null, with a code.',
    subGraphs,
    fieldAccess: access,
    fields: (t) => {
      const sealed = (name: PhiField) => t.string({ nullable: true, access, resolve: (row, _, context) => open(context, row, name) })
      return {
        id: t.id({ resolve: ({ id }) => encodeGlobalId('DisclosureGrant', id), description: 'Of the grant.' }),
        orderId: t.string({ nullable: true, resolve: ({ orderId }) => orderId }),
        fields: t.field({ type: [PhiFieldName], resolve: ({ fields }) => fields }),
        expiresAt: t.field({ type: 'DateTime', resolve: ({ expiresAt }) => new Date(expiresAt) }),
        givenName: sealed('givenName'),
        familyName: sealed('familyName'),
        birthDate: sealed('birthDate'),
        sex: sealed('sex'),
        mrn: sealed('mrn'),
        nationalId: sealed('nationalId'),
        phone: sealed('phone'),
        address: sealed('address'),
      }
    },
  })

  builder.queryField('disclosedRecords', (t) =>
    t.field({
      type: [Record],
      access,
      subGraphs,
      description: 'The newest 100 records that are disclosed to the caller now, for the purpose it reads for.',
      extensions: { cost: 100 },
      resolve: (_, __, { scope }) => records(scope),
    }),
  )
  builder.queryField('disclosedRecord', (t) =>
    t.field({
      type: Record,
      nullable: true,
      access,
      subGraphs,
      args: { id: t.arg.id({ required: true }) },
      resolve: async (_, { id }, { scope }) => {
        const [found] = await records(scope, idArgument('DisclosureGrant', id))
        if (!found) throw notFound()
        return found
      },
    }),
  )
}
