/** The circle's records in the graph: parties, links and consents, and a recipient's own. */
import type { Clock } from '../../../kernel/clock.ts'
import type { Builder } from '../../../platform/graphql/builder.ts'
import { reads } from '../../../platform/graphql/compiled/marks.ts'
import type { Context } from '../../../platform/graphql/context.ts'
import { phiNotGranted, textOf } from '../../../platform/graphql/sealed.ts'
import { planesOf } from '../../access/contract.ts'
import { partyKinds, phiFields } from '../contract.ts'
import { capabilities, consentStateAt, isLive } from '../rules.ts'
import type { CareSeals } from '../sealed.ts'

const readPermission = 'network:read'

export function circleNodes(builder: Builder, { seals, clock }: { readonly seals: CareSeals; readonly clock: Clock }) {
  const subGraphs = [...planesOf(readPermission)]
  const PartyKind = builder.enumType('PartyKind', { values: partyKinds, subGraphs })
  const Capability = builder.enumType('Capability', { values: capabilities, subGraphs })
  const ConsentState = builder.enumType('ConsentState', { values: ['REQUESTED', 'GRANTED', 'WITHDRAWN', 'EXPIRED'] as const, subGraphs })
  const PhiFieldName = builder.enumType('PhiField', { values: phiFields, subGraphs: [...new Set([...subGraphs, ...planesOf('phi:read')])] })

  /** A party's protected columns; a recipient's own are read from her record, which is what the audit trail then names. */
  const partyColumns = { id: true, phi: true, recipientId: true, recipient: { select: { id: true, phi: true } } } as const
  type PartyRow = { id: string; phi: string; recipientId: string | null; recipient: { id: string; phi: string } | null }
  const readName = async (context: Context, row: PartyRow): Promise<string | null> => {
    if (row.recipientId === null) return textOf((await seals.readParty(context, row, ['name'])).name)
    // A recipient whose record the policies hide may stand in another's network.
    if (!row.recipient) throw phiNotGranted()
    const { givenName, familyName } = await seals.readRecipient(context, row.recipient, ['givenName', 'familyName'])
    return [givenName, familyName].filter((part) => textOf(part) !== null).join(' ')
  }
  const readPhone = async (context: Context, row: PartyRow): Promise<string | null> => {
    if (row.recipientId === null) return textOf((await seals.readParty(context, row, ['phone'])).phone)
    if (!row.recipient) throw phiNotGranted()
    return textOf((await seals.readRecipient(context, row.recipient, ['phone'])).phone)
  }

  const Party = builder.prismaNode('CareParty', {
    description: 'Somebody in a care network.',
    id: { resolve: (row) => row.id },
    findUnique: (id, context) => ({ tenantId_id: { tenantId: context.caller.tenantId, id } }),
    nullable: true,
    select: { id: true },
    extensions: { nodePermission: readPermission },
    subGraphs,
    fieldAccess: { permission: readPermission },
    fields: (t) => ({
      kind: t.expose('kind', { type: PartyKind }),
      recipient: t.relation('recipient', { nullable: true, description: 'Who this is, for kind RECIPIENT.' }),
      name: t.string({
        nullable: true,
        access: { permission: 'phi:read' },
        select: partyColumns,
        resolve: (row, _, context) => readName(context, row),
      }),
      phone: t.string({
        nullable: true,
        access: { permission: 'phi:read' },
        select: partyColumns,
        resolve: (row, _, context) => readPhone(context, row),
      }),
    }),
  })

  const Edge = builder.prismaNode('CareEdge', {
    name: 'CareLink',
    description: '"From" helps, treats or represents "to", from a moment, until a moment.',
    id: { resolve: (row) => row.id },
    findUnique: (id, context) => ({ tenantId_id: { tenantId: context.caller.tenantId, id } }),
    nullable: true,
    select: { id: true },
    extensions: { nodePermission: readPermission },
    subGraphs,
    fieldAccess: { permission: readPermission },
    fields: (t) => ({
      // Null where the policies hide the party: one that has left the networks the caller sees.
      from: t.relation('from', { nullable: true }),
      to: t.relation('to', { nullable: true }),
      relation: t.exposeString('relation'),
      capabilities: t.field({
        type: [Capability],
        select: { capabilities: true },
        resolve: (row) => capabilities.filter((one) => row.capabilities.includes(one)),
      }),
      legalGuardian: t.exposeBoolean('legalGuardian'),
      validFrom: t.expose('validFrom', { type: 'DateTime' }),
      validTo: t.expose('validTo', { type: 'DateTime', nullable: true }),
      live: t.boolean({ select: { validFrom: true, validTo: true }, resolve: (row) => isLive(row, clock.nowMs()) }),
    }),
  })

  const Consent = builder.prismaNode('Consent', {
    description: 'A recipient lets a party use the named fields for a purpose.',
    id: { resolve: (row) => row.id },
    findUnique: (id, context) => ({ tenantId_id: { tenantId: context.caller.tenantId, id } }),
    nullable: true,
    select: { id: true },
    extensions: { nodePermission: 'recipient:read' },
    subGraphs,
    fieldAccess: { permission: 'recipient:read' },
    fields: (t) => ({
      grantee: t.relation('grantee', { nullable: true, description: 'Null where the caller does not see the party.' }),
      purpose: t.exposeString('purpose'),
      fieldSet: t.exposeStringList('fieldSet'),
      state: t.field({
        type: ConsentState,
        select: { state: true, validTo: true },
        resolve: (row) => consentStateAt(row, clock.nowMs()),
      }),
      validTo: t.expose('validTo', { type: 'DateTime', nullable: true }),
      version: t.exposeInt('version'),
    }),
  })

  const ids = { subGraphs } as never
  const inOrder = { orderBy: { id: 'asc' } } as const
  builder.prismaObjectFields(Party, (t) => ({
    outgoing: t.relatedConnection('outgoing', { cursor: 'tenantId_id', description: 'Whom this party helps.', query: inOrder }, ids, ids),
    incoming: t.relatedConnection('incoming', { cursor: 'tenantId_id', description: 'Who helps this party.', query: inOrder }, ids, ids),
  }))

  builder.prismaObjectFields('CareRecipient', (t) => ({
    party: t.field({
      type: Party,
      nullable: true,
      description: 'The recipient in care networks.',
      extensions: reads({ kind: 'only', relation: 'parties' }),
      select: (_args, _context, nested) => ({ parties: nested({ take: 1 }) }),
      resolve: (row) => row.parties[0] ?? null,
    }),
    consents: t.relatedConnection('consents', { cursor: 'tenantId_id', query: inOrder }, ids, ids),
  }))

  return { Party, Edge, Consent, Capability, PhiFieldName }
}

export type CircleNodes = ReturnType<typeof circleNodes>
