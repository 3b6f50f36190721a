/** Care in the graph: recipients, with their protected fields opened by the one reader, and what may be done to them. */
import { notFound } from '../../kernel/fault.ts'
import type { Builder } from '../../platform/graphql/builder.ts'
import { inCommand, mayFail } from '../../platform/graphql/command.ts'
import { reads } from '../../platform/graphql/compiled/marks.ts'
import type { Context } from '../../platform/graphql/context.ts'
import { idArgument } from '../../platform/graphql/id-argument.ts'
import { withoutNulls } from '../../platform/graphql/input.ts'
import { textOf, type SealedRow } from '../../platform/graphql/sealed.ts'
import { planesOf } from '../access/contract.ts'
import { circleGraph, type CareGraphParts } from './circle/graph.ts'
import { disclosureGraph, type DisclosureGraphParts } from './disclosure/graph.ts'
import { sexes, type PhiField } from './contract.ts'

export function careGraph(builder: Builder, made: CareGraphParts & DisclosureGraphParts) {
  const { contract: care, repo, seals } = made
  const subGraphs = [...planesOf('recipient:read')]
  const RecipientState = builder.enumType('RecipientState', { values: ['ACTIVE', 'ARCHIVED'] as const, subGraphs })
  const Sex = builder.enumType('Sex', { values: sexes, subGraphs })

  const phi = (name: PhiField, description?: string) => {
    return {
      nullable: true as const,
      access: { permission: 'phi:read' },
      select: { id: true, phi: true } as const,
      extensions: reads({ kind: 'sealed', column: 'phi', read: seals.readRecipient, name }),
      ...(description ? { description } : {}),
      resolve: async (row: SealedRow, _: object, context: Context) => textOf((await seals.readRecipient(context, row, [name]))[name]),
    }
  }

  const Recipient = builder.prismaNode('CareRecipient', {
    description: 'A person who is cared for. Protected fields are null, with a code, where the caller may not open them.',
    id: { resolve: (row) => row.id },
    findUnique: (id, context) => ({ tenantId_id: { tenantId: context.caller.tenantId, id } }),
    nullable: true,
    select: { id: true },
    extensions: { nodePermission: 'recipient:read' },
    subGraphs,
    fieldAccess: { permission: 'recipient:read' },
    fields: (t) => ({
      state: t.expose('state', { type: RecipientState }),
      preferredLocale: t.exposeString('preferredLocale'),
      areaGeohash5: t.exposeString('areaGeohash5', { nullable: true, description: 'A square of about 5 km.' }),
      birthYear: t.exposeInt('birthYear', { nullable: true }),
      createdAt: t.expose('createdAt', { type: 'DateTime' }),
      version: t.exposeInt('version', { description: 'Hand it back with a change.' }),
      givenName: t.string(phi('givenName')),
      familyName: t.string(phi('familyName')),
      birthDate: t.string(phi('birthDate', 'ISO 8601, for example 1941-03-27.')),
      sex: t.field({
        type: Sex,
        ...phi('sex'),
        extensions: {},
        resolve: async (row, _, context) => {
          const value = (await seals.readRecipient(context, row, ['sex'])).sex
          return sexes.find((one) => one === value) ?? null
        },
      }),
      mrn: t.string(phi('mrn', 'Medical record number.')),
      nationalId: t.string(phi('nationalId')),
      phone: t.string(phi('phone')),
      address: t.string(phi('address')),
    }),
  })

  const circle = circleGraph(builder, made)
  disclosureGraph(builder, circle, made)

  const found = async (query: object, id: string | number, { scope }: Context) => {
    const row = await repo.graphRecipient(scope, query, idArgument('CareRecipient', id))
    if (!row) throw notFound()
    return row
  }
  builder.queryField('recipient', (t) =>
    t.prismaField({
      type: Recipient,
      nullable: true,
      access: { permission: 'recipient:read' },
      subGraphs,
      args: { id: t.arg.id({ required: true }) },
      extensions: reads({ kind: 'one', model: 'CareRecipient', idArgument: 'id' }),
      resolve: (query, _, { id }, context) => found(query, id, context),
    }),
  )
  builder.subscriptionField('recipientChanges', (t) =>
    t.prismaField({
      type: Recipient,
      nullable: true,
      description: 'The recipient, and again after every change of what is asked for. Ends when it is no longer the caller’s to see.',
      access: { permission: 'recipient:read' },
      subGraphs,
      args: { id: t.arg.id({ required: true }) },
      subscribe: (_, { id }, { watch }) => watch([idArgument('CareRecipient', id)]),
      resolve: (query, _, { id }, context) => found(query, id, context),
    }),
  )

  const RecipientLookup = builder.inputType('RecipientLookup', {
    description: 'Exactly one of them: a whole value, however it is written, or whole words of a name. Needs phi:read.',
    subGraphs,
    fields: (t) => ({ mrn: t.string(), nationalId: t.string(), phone: t.string(), name: t.string() }),
  })

  builder.queryField('recipients', (t) =>
    t.prismaConnection(
      {
        type: Recipient,
        cursor: 'tenantId_id',
        access: { permission: 'recipient:read' },
        subGraphs,
        args: { state: t.arg({ type: RecipientState }), lookup: t.arg({ type: RecipientLookup }) },
        extensions: reads({ kind: 'page', model: 'CareRecipient', equals: { state: 'state' } }),
        resolve: async (query, _, { state, lookup }, { scope }) => {
          const found = lookup ? (await care.findRecipients(scope, withoutNulls(lookup))).recipientIds : undefined
          return repo.graphRecipients(scope, query, state ?? undefined, found)
        },
      },
      { subGraphs } as never,
      { subGraphs } as never,
    ),
  )

  const phiInputs = {
    familyName: {},
    birthDate: { description: 'ISO 8601, for example 1941-03-27.' },
    mrn: {},
    nationalId: {},
    phone: {},
    address: {},
  } as const

  const CreateRecipientInput = builder.inputType('CreateRecipientInput', {
    subGraphs,
    fields: (t) => ({
      givenName: t.string({ required: true }),
      familyName: t.string(phiInputs.familyName),
      birthDate: t.string(phiInputs.birthDate),
      sex: t.field({ type: Sex }),
      mrn: t.string(phiInputs.mrn),
      nationalId: t.string(phiInputs.nationalId),
      phone: t.string(phiInputs.phone),
      address: t.string(phiInputs.address),
      preferredLocale: t.string(),
      areaGeohash5: t.string(),
    }),
  })
  builder.mutationField('createRecipient', (t) =>
    t.field({
      type: Recipient,
      description: 'On the consumer plane the new recipient is the caller.',
      access: { permission: 'recipient:create' },
      errors: mayFail,
      args: { input: t.arg({ type: CreateRecipientInput, required: true }) },
      resolve: (_, { input }, context) =>
        inCommand(context, 'createRecipient', (scope) => care.createRecipient(scope, withoutNulls(input))),
    }),
  )

  const UpdateRecipientInput = builder.inputType('UpdateRecipientInput', {
    subGraphs,
    fields: (t) => ({
      id: t.id({ required: true }),
      version: t.int({ required: true }),
      preferredLocale: t.string(),
      areaGeohash5: t.string(),
    }),
  })
  builder.mutationField('updateRecipient', (t) =>
    t.field({
      type: Recipient,
      access: { permission: 'recipient:update' },
      errors: mayFail,
      args: { input: t.arg({ type: UpdateRecipientInput, required: true }) },
      resolve: (_, { input }, context) =>
        inCommand(context, 'updateRecipient', (scope) =>
          care.updateRecipient(scope, { ...withoutNulls(input), id: idArgument('CareRecipient', input.id) }),
        ),
    }),
  )

  const UpdatePhiInput = builder.inputType('UpdatePhiInput', {
    subGraphs,
    fields: (t) => ({
      id: t.id({ required: true }),
      version: t.int({ required: true }),
      givenName: t.string(),
      familyName: t.string(phiInputs.familyName),
      birthDate: t.string(phiInputs.birthDate),
      sex: t.field({ type: Sex }),
      mrn: t.string(phiInputs.mrn),
      nationalId: t.string(phiInputs.nationalId),
      phone: t.string(phiInputs.phone),
      address: t.string(phiInputs.address),
      clear: t.field({ type: [circle.PhiFieldName], description: 'Fields to empty.' }),
    }),
  })
  builder.mutationField('updatePhi', (t) =>
    t.field({
      type: Recipient,
      description: 'Changes the given protected fields and leaves the others.',
      access: { permission: 'phi:write' },
      errors: mayFail,
      args: { input: t.arg({ type: UpdatePhiInput, required: true }) },
      resolve: (_, { input }, context) =>
        inCommand(context, 'updatePhi', (scope) =>
          care.updatePhi(scope, { ...withoutNulls(input), id: idArgument('CareRecipient', input.id) }),
        ),
    }),
  )

  builder.mutationField('archiveRecipient', (t) =>
    t.field({
      type: Recipient,
      access: { permission: 'recipient:archive' },
      errors: mayFail,
      args: { id: t.arg.id({ required: true }), version: t.arg.int({ required: true }) },
      resolve: (_, { id, version }, context) =>
        inCommand(context, 'archiveRecipient', (scope) => care.archiveRecipient(scope, { id: idArgument('CareRecipient', id), version })),
    }),
  )

  return { Recipient, ...circle }
}

export type CareGraph = ReturnType<typeof careGraph>

declare module '../../platform/module.ts' {
  interface Graphs {
    care: CareGraph
  }
}
