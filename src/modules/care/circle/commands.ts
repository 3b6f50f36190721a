/** What may be done in the circle: mutation fields, each one command of the contract. */
import { purposes } from '../../../kernel/scope.ts'
import type { Builder } from '../../../platform/graphql/builder.ts'
import { inCommand, inPlainCommand, mayFail } from '../../../platform/graphql/command.ts'
import { encodeGlobalId } from '../../../platform/graphql/global-id.ts'
import { idArgument } from '../../../platform/graphql/id-argument.ts'
import { withoutNulls } from '../../../platform/graphql/input.ts'
import { planesOf } from '../../access/contract.ts'
import { otherPartyKinds, relations, type Care } from '../contract.ts'
import type { CircleNodes } from './nodes.ts'

export function circleCommands(builder: Builder, nodes: CircleNodes, care: Care): void {
  const { Party, Edge, Consent, Capability, PhiFieldName } = nodes
  const managing = [...planesOf('network:manage')]
  const consenting = [...planesOf('consent:manage')]
  const OtherPartyKind = builder.enumType('OtherPartyKind', { values: otherPartyKinds, subGraphs: managing })
  const Relation = builder.enumType('Relation', { values: relations, subGraphs: managing })
  const ConsentPurpose = builder.enumType('ConsentPurpose', { values: purposes, subGraphs: consenting })

  const CreatePartyInput = builder.inputType('CreatePartyInput', {
    subGraphs: managing,
    fields: (t) => ({
      kind: t.field({ type: OtherPartyKind, required: true }),
      name: t.string({ required: true }),
      phone: t.string(),
    }),
  })
  builder.mutationField('createParty', (t) =>
    t.field({
      type: Party,
      access: { permission: 'network:manage' },
      errors: mayFail,
      args: { input: t.arg({ type: CreatePartyInput, required: true }) },
      resolve: (_, { input }, context) => inCommand(context, 'createParty', (scope) => care.createParty(scope, withoutNulls(input))),
    }),
  )

  const LinkPartyInput = builder.inputType('LinkPartyInput', {
    subGraphs: managing,
    fields: (t) => ({
      fromId: t.id({ required: true, description: 'The party that helps, treats or represents.' }),
      toId: t.id({ required: true, description: 'The party that is helped: a recipient\'s own, as a rule.' }),
      relation: t.field({ type: Relation, required: true }),
      capabilities: t.field({ type: [Capability], required: true, description: 'VIEW goes without saying.' }),
      legalGuardian: t.boolean(),
      validFrom: t.field({ type: 'DateTime' }),
      validTo: t.field({ type: 'DateTime' }),
    }),
  })
  builder.mutationField('linkParty', (t) =>
    t.field({
      type: Edge,
      description: 'Nobody links what grants something to themselves, or grants more than they hold.',
      access: { permission: 'network:manage' },
      errors: mayFail,
      args: { input: t.arg({ type: LinkPartyInput, required: true }) },
      resolve: (_, { input }, context) =>
        inPlainCommand(context, 'linkParty', (scope) => {
          const { fromId, toId, validFrom, validTo, ...rest } = withoutNulls(input)
          return care.linkParty(scope, {
            ...rest,
            fromPartyId: idArgument('CareParty', fromId),
            toPartyId: idArgument('CareParty', toId),
            ...(validFrom ? { validFrom: validFrom.toISOString() } : {}),
            ...(validTo ? { validTo: validTo.toISOString() } : {}),
          })
        }),
    }),
  )

  const EndedLink = builder.objectRef<{ id: string; validTo: string | null }>('EndedCareLink').implement({
    description: 'A link that is over. It is not answered as a record: by ending it the caller may have left its reach.',
    subGraphs: managing,
    fieldAccess: { permission: 'network:manage' },
    fields: (t) => ({
      linkId: t.id({ resolve: ({ id }) => encodeGlobalId('CareLink', id) }),
      validTo: t.field({ type: 'DateTime', nullable: true, resolve: ({ validTo }) => (validTo === null ? null : new Date(validTo)) }),
    }),
  })
  builder.mutationField('endLink', (t) =>
    t.field({
      type: EndedLink,
      access: { permission: 'network:manage' },
      errors: mayFail,
      args: { id: t.arg.id({ required: true }) },
      resolve: (_, { id }, context) => inPlainCommand(context, 'endLink', (scope) => care.endLink(scope, { id: idArgument('CareLink', id) })),
    }),
  )

  const GrantConsentInput = builder.inputType('GrantConsentInput', {
    subGraphs: consenting,
    fields: (t) => ({
      recipientId: t.id({ required: true }),
      granteeId: t.id({ required: true, description: 'The party that may use the fields.' }),
      purpose: t.field({ type: ConsentPurpose, required: true }),
      fieldSet: t.field({ type: [PhiFieldName], required: true }),
      validTo: t.field({ type: 'DateTime' }),
    }),
  })
  builder.mutationField('grantConsent', (t) =>
    t.field({
      type: Consent,
      access: { permission: 'consent:manage' },
      errors: mayFail,
      args: { input: t.arg({ type: GrantConsentInput, required: true }) },
      resolve: (_, { input }, context) =>
        inPlainCommand(context, 'grantConsent', (scope) => {
          const { validTo, ...rest } = withoutNulls(input)
          return care.grantConsent(scope, {
            ...rest,
            recipientId: idArgument('CareRecipient', input.recipientId),
            granteeId: idArgument('CareParty', input.granteeId),
            ...(validTo ? { validTo: validTo.toISOString() } : {}),
          })
        }),
    }),
  )

  builder.mutationField('withdrawConsent', (t) =>
    t.field({
      type: Consent,
      access: { permission: 'consent:manage' },
      errors: mayFail,
      args: { id: t.arg.id({ required: true }) },
      resolve: (_, { id }, context) =>
        inPlainCommand(context, 'withdrawConsent', (scope) => care.withdrawConsent(scope, { id: idArgument('Consent', id) })),
    }),
  )
}
