/** RFC 7644 §3.5.2: random sequences of operations do to a user what a model does that is written with plain lists and assignments. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AttributeMap } from '../../src/modules/federation/scim/engine.ts'
import { Fault } from '../../src/kernel/fault.ts'
import { patchGroup } from '../../src/modules/federation/scim/patch/patch-group.ts'
import { patchUser } from '../../src/modules/federation/scim/patch/patch-user.ts'

interface Mail {
  value?: string
  type?: string
  primary?: boolean
}
interface Model {
  userName: string
  active: boolean
  title?: string
  name: { givenName?: string; familyName?: string }
  emails: Mail[]
}
interface Step {
  readonly operation: Readonly<Record<string, unknown>>
  /** What the step does; false: it is refused. */
  readonly act: (model: Model) => boolean
}

const text = fc.constantFrom('a', 'b', 'c')
const type = fc.constantFrom('work', 'home')
const mail = fc.record({ value: text, type, primary: fc.boolean() })
const op = fc.constantFrom('add', 'replace', 'Add', 'Replace')

/** Only one value stays primary: the one just made so. */
function settle(model: Model, made: Mail): void {
  if (made.primary) for (const one of model.emails) if (one !== made && one.primary) one.primary = false
}

function addMail(model: Model, given: Mail): void {
  const same = model.emails.find((one) => one.value === given.value && one.type === given.type)
  const wasPrimary = same?.primary === true
  const held = same ? Object.assign(same, given) : model.emails[model.emails.push({ ...given }) - 1]!
  if (!wasPrimary) settle(model, held)
}

const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ op, value: text }).map(({ op, value }) => ({
    operation: { op, path: 'title', value },
    act: (model: Model) => ((model.title = value), true),
  })),
  fc.constant({ operation: { op: 'remove', path: 'title' }, act: (model: Model) => (delete model.title, true) }),
  fc.record({ op, value: fc.constantFrom(true, false, 'True', 'False') }).map(({ op, value }) => ({
    operation: { op, path: 'active', value },
    act: (model: Model) => ((model.active = String(value).toLowerCase() === 'true'), true),
  })),
  fc
    .record({ op, part: fc.constantFrom('givenName' as const, 'familyName' as const), value: fc.option(text) })
    .map(({ op, part, value }) => ({
      operation: { op, value: { [`name.${part}`]: value } },
      act: (model: Model) => (value === null ? delete model.name[part] : (model.name[part] = value), true),
    })),
  fc.record({ op, value: fc.record({ givenName: text }, { requiredKeys: [] }) }).map(({ op, value }) => ({
    operation: { op, path: 'name', value },
    act: (model: Model) => (Object.assign(model.name, value), true),
  })),
  mail.map((value) => ({ operation: { op: 'add', path: 'emails', value: [value] }, act: (model: Model) => (addMail(model, value), true) })),
  fc.array(mail, { maxLength: 3 }).map((value) => ({
    operation: { op: 'replace', path: 'emails', value },
    act: (model: Model) => {
      const distinct = value.filter((one, at) => value.findIndex((other) => JSON.stringify(other) === JSON.stringify(one)) === at)
      if (distinct.filter((one) => one.primary).length > 1) return false
      model.emails = distinct.map((one) => ({ ...one }))
      return true
    },
  })),
  fc.record({ op, type, value: text }).map(({ op, type, value }) => ({
    operation: { op, path: `emails[type eq "${type}"].value`, value },
    act: (model: Model) => {
      const picked = model.emails.filter((one) => one.type === type)
      if (picked.length === 0 && op === 'replace') return false
      if (picked.length === 0) model.emails.push({ type, value })
      for (const one of picked) one.value = value
      return true
    },
  })),
  type.map((kind) => ({
    operation: { op: 'remove', path: `emails[type eq "${kind}"]` },
    act: (model: Model) => ((model.emails = model.emails.filter((one) => one.type !== kind)), true),
  })),
  text.map((value) => ({
    operation: { op: 'Remove', path: 'emails', value: [{ value: value.toUpperCase() }] },
    act: (model: Model) => ((model.emails = model.emails.filter((one) => one.value !== value)), true),
  })),
  fc.constant({
    operation: { op: 'remove', path: 'userName' },
    act: () => false,
  }),
)

/** The model as a stored resource: what is empty is absent. */
function stored({ name, emails, ...rest }: Model): AttributeMap {
  const list = emails.map((one) => ({ ...one })) as unknown as readonly AttributeMap[]
  return {
    ...rest,
    ...(Object.keys(name).length > 0 ? { name: { ...name } } : {}),
    ...(list.length > 0 ? { emails: list } : {}),
  } as AttributeMap
}

test('users: a sequence of messages equals the model after each, and a refused message changes nothing', () => {
  let refused = 0
  fc.assert(
    fc.property(fc.array(fc.array(steps, { minLength: 1, maxLength: 3 }), { maxLength: 8 }), (messages) => {
      let model: Model = { userName: 'u', active: true, name: {}, emails: [] }
      let attributes = stored(model)
      for (const message of messages) {
        const next = structuredClone(model)
        const sound = message.every(({ act }) => act(next))
        const body = { schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations: message.map(({ operation }) => operation) }
        try {
          attributes = patchUser(attributes, JSON.parse(JSON.stringify(body))).columns.attributes
          expect(sound).toBe(true)
          model = next
        } catch (error) {
          if (!(error instanceof Fault)) throw error
          expect(sound).toBe(false)
          refused++
        }
        expect(attributes).toEqual(stored(model))
      }
    }),
    { numRuns: 700, seed: 3 },
  )
  expect(refused).toBeGreaterThan(50)
})

const ids = Array.from({ length: 5 }, (_, n) => `00000000-0000-7000-8000-00000000000${n}`)
const list = fc.subarray(ids)
const memberSteps = fc.oneof(
  list.map((some) => ({
    operation: { op: 'add', path: 'members', value: some.map((value) => ({ value })) },
    act: (set: Set<string>) => some.forEach((one) => set.add(one)),
  })),
  list.map((some) => ({
    operation: { op: 'remove', path: 'members', value: some.map((value) => ({ value })) },
    act: (set: Set<string>) => some.forEach((one) => set.delete(one)),
  })),
  fc
    .constantFrom(...ids)
    .map((one) => ({ operation: { op: 'remove', path: `members[value eq "${one}"]` }, act: (set: Set<string>) => void set.delete(one) })),
  list.map((some) => ({
    operation: { op: 'replace', value: { members: some.map((value) => ({ value })) } },
    act: (set: Set<string>) => (set.clear(), some.forEach((one) => set.add(one))),
  })),
  fc.constant({ operation: { op: 'remove', path: 'members' }, act: (set: Set<string>) => set.clear() }),
)

test('groups: steps carried out on any members equal the operations carried out one by one', () => {
  fc.assert(
    fc.property(list, fc.array(memberSteps, { minLength: 1, maxLength: 12 }), (start, sequence) => {
      const model = new Set(start)
      for (const { act } of sequence) act(model)
      const body = { schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations: sequence.map(({ operation }) => operation) }
      const carried = new Set(start)
      for (const step of patchGroup({ displayName: 'g' }, body).members) {
        if (step.do === 'removeWhere') throw new Error('No such operation was made.')
        if (step.do === 'set') carried.clear()
        for (const id of step.userIds) {
          if (step.do === 'remove') carried.delete(id)
          else carried.add(id)
        }
      }
      expect([...carried].sort()).toEqual([...model].sort())
    }),
    { numRuns: 500, seed: 4 },
  )
})
