/** Which fields may be sealed together, and that a building whose fields do not belong together is never put together. */
import { describe, expect, test } from 'vitest'
import { newId } from '../kernel/id.ts'
import { planes } from '../kernel/scope.ts'
import { compose } from './compose.ts'
import { envelopesOf, refuseUndeclared, sealedAlike, type Envelope, type SealedField } from './envelopes.ts'
import { defineModule, type AnyModule } from './module.ts'

const opened: SealedField = { permission: 'phi:read', erasedWith: 'id' }
const envelope = (fields: Record<string, SealedField>): Envelope => ({ model: 'CareRecipient', column: 'phi', fields })

/** A ward of another house: what it seals together, and what its graph asks for where it opens it. */
const ward = (declared: Envelope[], more: { asks?: string; select?: object; owns?: 'CareParty' } = {}) =>
  defineModule({
    name: 'ward',
    summary: 'Seals, for this test.',
    needs: [],
    owns: ['CareRecipient', 'CareEdge'],
    ...(more.owns ? { owns: [more.owns] as never } : {}),
    permissions: ['recipient:read', 'phi:read'],
    envelopes: declared as never,
    build: () => ({ contract: {} }),
    graph: (builder) => {
      const Recipient = builder.prismaObject('CareRecipient', {
        fieldAccess: { permission: 'recipient:read' },
        fields: (t) => ({
          name: t.string({
            access: { permission: more.asks ?? 'phi:read' },
            select: (more.select ?? { id: true, phi: true }) as never,
            resolve: () => 'x',
          }),
          version: t.exposeInt('version'),
        }),
      })
      builder.queryField('one', (t) => t.field({ type: Recipient, nullable: true, access: { permission: 'phi:read' }, resolve: () => null }))
    },
  })
const composed = (module: unknown) =>
  compose({ modules: [module as AnyModule], services: {} as never, database: {} as never, planesOf: () => planes })
const drawn = (module: unknown) => {
  try {
    return composed(module).schemas && 'drawn'
  } catch (error) {
    return (error as Error).message
  }
}

describe('a building is not put together', () => {
  test('when fields of different permission share an envelope; sealed apart, or alike, they are', () => {
    const notes = { permission: 'clinical:read', erasedWith: 'id' }
    expect(() => composed(ward([envelope({ givenName: opened, notes })]))).toThrow(
      'Fields givenName and notes share the envelope CareRecipient.phi and differ in permission',
    )
    expect(() => composed(ward([envelope({ givenName: opened, notes: opened })]))).not.toThrow()
    expect(() => composed(ward([envelope({ givenName: opened }), { ...envelope({ notes }), column: 'notes' }]))).not.toThrow()
  })

  test('when fields of different erasure share one', () => {
    const carer = { permission: 'phi:read', erasedWith: 'carerId' }
    expect(() => composed(ward([envelope({ givenName: opened, carer })]))).toThrow('differ in erasure')
  })

  test('when an envelope is empty, declared twice or of another module’s model', () => {
    const good = envelope({ givenName: opened })
    expect(() => composed(ward([envelope({})]))).toThrow('has no fields')
    expect(() => composed(ward([good, good]))).toThrow('declared twice')
    expect(() => composed(ward([good], { owns: 'CareParty' }))).toThrow('does not own CareRecipient')
  })
})

describe('the graph is not drawn', () => {
  test('when a field opens an envelope for another permission than the envelope’s', () => {
    const declared = [envelope(sealedAlike(['name'], opened))]
    expect(drawn(ward(declared))).toBe('drawn')
    expect(drawn(ward(declared, { asks: 'recipient:read' }))).toBe(
      'CareRecipient.name opens CareRecipient.phi for recipient:read; it is opened for phi:read.',
    )
  })

  test('when a field opens what nobody declared, in its own row or in one beside it', () => {
    expect(drawn(ward([]))).toBe('CareRecipient.name opens CareRecipient.phi, which no module declares.')
    const beside = { select: { id: true, parties: { select: { id: true, phi: true } } } }
    expect(drawn(ward([], beside))).toBe('CareRecipient.name opens CareParty.phi, which no module declares.')
    expect(drawn(ward([], { select: { id: true, parties: { select: { id: true } } } }))).toBe('drawn')
  })
})

test('into an envelope goes what was declared for it, under the key that was', () => {
  const id = newId()
  const [mine, carers] = [{ ...envelope(sealedAlike(['a', 'b'], opened)) }, { model: 'CareParty', column: 'phi', fields: sealedAlike(['a'], { ...opened, erasedWith: 'recipientId' }) }]
  const envelopes = envelopesOf([{ name: 'ward', owns: ['CareRecipient', 'CareParty'], envelopes: [mine, carers] }])
  const item = { model: 'CareRecipient', field: 'phi', subjectId: id, rowId: id, record: { a: 1 } }
  const refused = (change: Partial<typeof item>) => () => refuseUndeclared(envelopes, { ...item, ...change })
  expect(refused({})).not.toThrow()
  expect(refused({ record: { b: 1, a: 2 } as never })).not.toThrow()
  expect(refused({ record: { a: 1, notes: 'x' } as never })).toThrow('The field notes is not declared for the envelope CareRecipient.phi.')
  expect(refused({ field: 'notes' })).toThrow('No module declares the envelope CareRecipient.notes.')
  expect(refused({ subjectId: newId() })).toThrow('sealed with another')
  expect(refused({ subjectId: newId(), record: {} as never })).not.toThrow()
  expect(refused({ model: 'CareParty', subjectId: newId() })).not.toThrow()
})
