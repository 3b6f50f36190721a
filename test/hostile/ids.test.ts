/**
 * Ids of another tenant, of nobody, and of no form, given in every place of every plane's schema that takes an id or a cursor: always
 * the same answer. That an own id is answered otherwise, in every such place, is the control.
 */
import { randomUUID } from 'node:crypto'
import {
  getNamedType,
  isInterfaceType,
  isLeafType,
  isObjectType,
  isUnionType,
  type GraphQLField,
  type GraphQLOutputType,
} from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { planes, type Plane } from '../../src/kernel/scope.ts'
import { permissionsOf, rolesOf } from '../../src/modules/access/contract.ts'
import type { Access } from '../../src/platform/graphql/access.ts'
import { decodeGlobalId, encodeGlobalId } from '../../src/platform/graphql/global-id.ts'
import { argumentsOf, placesOf, rootFields, type Place, type RootKind } from '../../src/proof/graph-shape.ts'
import { openLedger } from '../kit/ledger.ts'
import { freshHouse, password, type TestHouse, type TestTenant } from '../kit/house.ts'
import { subscribe } from '../kit/stream.ts'
import { json, send } from './arena.ts'
import { plant, type Planted } from './planted.ts'

type Field = GraphQLField<unknown, unknown>

interface Target {
  readonly name: string
  readonly plane: Plane
  readonly kind: RootKind
  readonly field: Field
  readonly places: readonly Place[]
  readonly document: string
  /** Only ids of this type are meant. */
  readonly type?: string
}

interface Asker {
  readonly name: string
  readonly permissions: ReadonlySet<string>
  readonly headers: Readonly<Record<string, string>>
}

let house: TestHouse
let cedar: TestTenant
let zaytuna: TestTenant
let own: Planted
let theirs: Planted
const askers = new Map<Plane, Asker[]>()

beforeAll(async () => {
  house = await freshHouse()
  cedar = await house.tenant()
  zaytuna = await house.tenant()
  own = await plant(house, cedar)
  theirs = await plant(house, zaytuna)
  for (const plane of planes) {
    const members: Asker[] = []
    for (const role of rolesOf(plane)) {
      const headers = { authorization: `Bearer ${await house.signIn(cedar, role)}` }
      members.push({ name: role, permissions: permissionsOf(role), headers })
    }
    const stranger = { name: 'nobody', permissions: new Set<string>(), headers: { 'x-maristan-tenant': cedar.slug } }
    askers.set(plane, [...members, stranger])
  }
  const headers = { authorization: `Bearer ${own.apiToken}` }
  askers.set('integrator', [{ name: 'an API token', permissions: permissionsOf('tenant_admin'), headers }])
})
afterAll(() => house.close())

/** A selection that stays within the limits: leaves, the objects in them, and for a union its fault and its result. */
function selection(type: GraphQLOutputType, depth: number): string {
  const named = getNamedType(type)
  if (isUnionType(named)) {
    const results = named.getTypes().filter((one) => !one.getInterfaces().some(({ name }) => name === 'Fault'))
    const parts = results.map((one) => `... on ${one.name} ${selection(one, depth)}`)
    return `{ __typename ... on Fault { code message } ${parts.join(' ')} }`
  }
  if (isInterfaceType(named)) return '{ __typename id }'
  if (!isObjectType(named)) return ''
  const parts = Object.values(named.getFields())
    .filter(({ args, type: below }) => args.length === 0 && (depth > 0 || isLeafType(getNamedType(below))))
    .map((field) => `${field.name} ${selection(field.type, depth - 1)}`)
  return `{ __typename ${parts.join(' ')} }`
}

/** Answered unlike itself each time: what is asked for holds the asking. Its ids have a test of their own below. */
const unlike = new Set(['exportAudit'])

function targetsOf(plane: Plane): Target[] {
  const schema = house.composed.schemas.plane[plane]
  const targets: Target[] = []
  for (const { kind, field } of rootFields(schema)) {
    const places = placesOf(schema, field)
    if (places.length === 0 || unlike.has(field.name)) continue
    const head = `${kind} (${field.args.map((one) => `$${one.name}: ${String(one.type)}`).join(', ')})`
    const call = `${field.name}(${field.args.map((one) => `${one.name}: $${one.name}`).join(', ')})`
    const document = `${head} { ${call} ${selection(field.type, 2)} }`
    const target = { plane, kind, field, places, name: `${kind}.${field.name}`, document }
    const node = schema.getType('Node')
    if (field.name !== 'node' || !isInterfaceType(node)) targets.push(target)
    else {
      for (const type of schema.getPossibleTypes(node)) {
        const body = `{ __typename id ... on ${type.name} ${selection(type, 0)} }`
        targets.push({ ...target, type: type.name, name: `node of ${type.name}`, document: `${head} { ${call} ${body} }` })
      }
    }
  }
  return targets
}

/** What no schema tells: arguments with which a field gets as far as looking at its ids. */
async function supplied(target: Target): Promise<Record<string, unknown>> {
  if (target.name === 'mutation.inviteMember') {
    const role = target.plane === 'seller' ? 'provider_manager' : 'family'
    return { input: { email: `guest-${randomUUID()}@${cedar.slug}.test`, role } }
  }
  if (target.name === 'mutation.addSsoDomain') return { domain: 'hostile.example' }
  if (target.name !== 'mutation.chooseMembership' || target.plane !== 'console') return {}
  const query = `mutation ($input: SignInInput!) { signIn(input: $input) { ... on MembershipChoiceRequired { choiceToken } } }`
  const given = { input: { email: own.twofold, password } }
  const reply = await house.ask<{ signIn: { choiceToken: string } }>({ plane: 'console', tenant: cedar.slug }, query, given)
  return { input: { choiceToken: reply.data!.signIn.choiceToken } }
}

type Chosen = readonly (readonly [Place, string])[]

/** Asks and answers the whole of what came back, with what was asked and the request's id taken out. */
async function answerTo(target: Target, asker: Asker, chosen: Chosen): Promise<string> {
  const variables = argumentsOf(target.field, await supplied(target), chosen)
  if (target.kind === 'subscription') return firstOf(target, asker, variables, chosen)
  const path = target.plane === 'integrator' ? '/graphql' : `/graphql/${target.plane}`
  const body = JSON.stringify({ query: target.document, variables })
  const { status, headers, text } = await send(house, { path, headers: { ...json, ...asker.headers }, body })
  const unfit = /GRAPHQL_VALIDATION_FAILED|QUERY_TOO|TOO_MANY_(?!REQUESTS)/.test(text)
  if (unfit) throw new Error(`${target.name} asks badly: ${text.slice(0, 300)}`)
  const { date: _date, 'x-request-id': requestId, 'content-length': _length, ...rest } = headers
  let shown = JSON.stringify({ status, headers: rest, text }).replaceAll(String(requestId), '<request>')
  for (const [, value] of chosen) if (value !== '') shown = shown.replaceAll(value, '<asked>')
  return shown
}

/** The first answer of a subscription; who began it goes away after it. */
async function firstOf({ plane, document }: Target, { headers }: Asker, variables: Record<string, unknown>, chosen: Chosen): Promise<string> {
  const stream = await subscribe(house, { plane, headers }, document, variables)
  let shown = JSON.stringify({ status: stream.status, answer: await stream.next() })
  stream.leave()
  for (const [, value] of chosen) if (value !== '') shown = shown.replaceAll(value, '<asked>')
  return shown
}

/** A value of a place that belongs to nobody, of the same kind as another. */
const nobodys = (value: string, place: Place): string =>
  place.kind === 'id' ? encodeGlobalId(decodeGlobalId(value).typename, randomUUID()) : cursor(randomUUID())

const cursor = (id: string): string => Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url')

/** Where a name does not tell which kind of row is meant. */
const meant: Readonly<Record<string, string>> = {
  granteeId: 'CareParty',
  fromId: 'CareParty',
  toId: 'CareParty',
  actorId: 'Membership',
  subjectId: 'CareRecipient',
  resourceId: 'CareRecipient',
}

const words = (text: string): string[] =>
  (text.match(/[A-Z]?[a-z]+/g) ?? []).map((word) => word.toLowerCase().replace(/s$/, '')).filter((word) => word.length > 3)

/** Values of a place out of what a tenant has, likely types first. */
function choices(target: Target, place: Place, planted: Planted): string[] {
  const score = (type: string) =>
    words(place.path.at(-1)!).filter((word) => type.toLowerCase().includes(word)).length * 3 +
    words(`${target.field.name} ${String(target.field.type)}`).filter((word) => type.toLowerCase().includes(word)).length +
    (meant[place.path.at(-1)!] === type ? 9 : 0)
  const fitting = [...planted.ids.keys()].filter((type) => !target.type || type === target.type)
  const types = fitting.sort((one, other) => score(other) - score(one))
  const ids = types.flatMap((type, at) => planted.ids.get(type)!.slice(0, at === 0 ? 24 : 3))
  return place.kind === 'id' ? ids : ids.map((id) => cursor(decodeGlobalId(id).id))
}

/** Cursors that the list itself gives out. */
async function ownCursors(target: Target, asker: Asker, others: readonly Place[]): Promise<string[]> {
  const answer = await answerTo(target, asker, others.map((place) => [place, choices(target, place, own)[0]!] as const))
  return [...answer.matchAll(/cursor\\":\\"([\w-]{22})/g)].map((match) => match[1]!)
}

/** Rows of one's own with which each of the places is answered unlike nobody's; null when there are none. */
async function control(target: Target, asker: Asker, places: readonly Place[]): Promise<Chosen | null> {
  const access = target.field.extensions['access'] as Access
  const mayAsk = typeof access === 'object' ? asker.permissions.has(access.permission) : access === 'public' || asker.permissions.size > 0
  if (!mayAsk) return null
  const shown = places.at(-1)!.kind === 'cursor' ? await ownCursors(target, asker, places.slice(0, -1)) : null
  const lists = places.map((place, nth) => (shown && nth === places.length - 1 ? shown : choices(target, place, own)))
  const total = Math.min(lists.length > 1 ? 200 : 150, lists.reduce((product, list) => product * list.length, 1))
  let random = { of: '', answer: '' }
  for (let at = 0; at < total; at++) {
    const chosen = places.map((place, nth) => {
      const list = lists[nth]!
      // With several places the likely rows of each are paired before any is tried with everything.
      const step = nth === 0 ? at % 12 : Math.floor(at / 12)
      return [place, list[(lists.length === 1 ? at : step) % list.length]!] as const
    })
    const last = chosen.at(-1)!
    const kind = chosen.map(([place, value]) => (place.kind === 'id' ? decodeGlobalId(value).typename : 'cursor')).join()
    if (random.of !== kind) {
      const others = chosen.map(([place, value]) => [place, nobodys(value, place)] as const)
      random = { of: kind, answer: await answerTo(target, asker, others) }
    }
    if ((await answerTo(target, asker, chosen)) === random.answer) continue
    const alone = [...chosen.slice(0, -1), [last[0], nobodys(last[1], last[0])] as const]
    if (lists.length === 1 || (await answerTo(target, asker, alone)) !== (await answerTo(target, asker, chosen))) return chosen
  }
  return null
}

/**
 * Places where a row of one's own is as good as nobody's. Each has its reason.
 * Provider organisations are no records yet: the console invites for any, and a consumer for none. Only the console's twofold member
 * chooses a membership. Members are read as nodes by those alone who may read members. The audit trail pages forward only. An emergency
 * takes a code of an authenticator, a domain has to be the connection's, and the chain has to be sealed: the proof of isolation has what
 * they take, or says why not.
 */
const unproven = new Set([
  'console mutation.inviteMember input.providerOrgId',
  'consumer mutation.inviteMember input.providerOrgId',
  'seller mutation.inviteMember input.recipientId',
  'console mutation.openBreakGlass input.recipientId',
  'console mutation.proveSsoDomain connectionId',
  'console mutation.removeSsoDomain connectionId',
  'console mutation.verifyAuditChain after',
  'clinician mutation.openBreakGlass input.recipientId',
  ...['clinician', 'consumer', 'courier', 'seller'].map((plane) => `${plane} mutation.chooseMembership input.membershipId`),
  ...['console', 'consumer', 'integrator'].flatMap((plane) => [
    `${plane} query.auditEvents before`,
    `${plane} query.accountingOfDisclosures before`,
  ]),
  ...['clinician', 'consumer', 'courier'].flatMap((plane) => ['Identity', 'Membership'].map((type) => `${plane} node of ${type} id`)),
])

const malformed = (id: string, { path, kind }: Place): string[] => {
  const { typename, id: known } = kind === 'id' ? decodeGlobalId(id) : { typename: 'CareRecipient', id: randomUUID() }
  // A filter takes ids of any type: there a row of one's own is found under another type's name.
  const row = path[0] === 'filter' ? randomUUID() : known
  const packed = (text: string) => Buffer.from(text).toString('base64url')
  return [
    '',
    row,
    packed(`${typename}:`),
    packed(`:${row}`),
    packed(`${typename}:${row.toUpperCase()}`),
    packed(`${typename}:${row}:${row}`),
    packed(`${cedar.id}:${typename}:${row}`),
    packed(`${typename}:' or 1=1--`),
    packed(`${typename}:${row}\0`),
    packed(`__proto__:${row}`),
    packed(`Query:${row}`),
    'ا'.repeat(40),
    'A'.repeat(100_000),
  ]
}

const swept = new Set<string>()

describe.each(planes)('on the %s plane', (plane) => {
  test('an id of another tenant is answered as nobody\'s, in every place that takes one', { timeout: 120_000 }, async () => {
    const missing: string[] = []
    const leaks: string[] = []
    let attacks = 0
    for (const target of targetsOf(plane)) {
      for (const place of target.places) {
        const beside = target.places.filter((one) => one.required && one !== place)
        const name = `${plane} ${target.name} ${place.path.join('.')}`
        let proven = false
        for (const asker of askers.get(plane)!) {
          const found: Chosen | null = proven || unproven.has(name) ? null : await control(target, asker, [...beside, place])
          proven ||= found !== null
          const others = found?.slice(0, -1) ?? beside.map((one) => [one, choices(target, one, own)[0]!] as const)
          const kind = found?.at(-1)![1] ?? choices(target, place, own)[0]!
          const type = place.kind === 'id' ? decodeGlobalId(kind).typename : null
          const foreign = choices(target, place, theirs).filter((value) => type === null || decodeGlobalId(value).typename === type)
          const nothing = await answerTo(target, asker, [...others, [place, nobodys(kind, place)]])
          for (const value of foreign.slice(0, found ? 3 : 1)) {
            attacks++
            const answer = await answerTo(target, asker, [...others, [place, value]])
            if (answer !== nothing) leaks.push(`${name} as ${asker.name}: ${answer.slice(0, 700)} instead of ${nothing.slice(0, 700)}`)
          }
          const shape = `${target.field.name} ${place.path.join('.')}`
          if (!found || swept.has(shape)) continue
          swept.add(shape)
          for (const value of malformed(kind, place)) {
            const answer = await answerTo(target, asker, [...others, [place, value]])
            const refused = place.kind === 'cursor' ? /BAD_CURSOR|INVALID_INPUT/ : /NOT_FOUND|INVALID_INPUT/
            if (refused.test(answer) || (place.kind === 'id' && answer === nothing)) continue
            leaks.push(`${name} given ${value.slice(0, 60)}: ${answer.slice(300, 700)} instead of ${nothing.slice(300, 700)}`)
          }
        }
        if (!proven && !unproven.has(name)) missing.push(name)
      }
    }
    expect(leaks).toEqual([])
    expect(missing).toEqual([])
    expect(attacks).toBeGreaterThan(0)
  })
})

test("an export of the trail for another tenant's recipient, member or place in the chain is that for nobody's: no line of anybody", async () => {
  const ledger = openLedger(house)
  try {
    await ledger.sealer.sealAll()
  } finally {
    await ledger.close()
  }
  // Whoever signs in now leaves lines that are not sealed yet.
  const bearer = await house.signIn(zaytuna, 'compliance_officer')
  const document = 'mutation ($input: ExportAuditInput!) { exportAudit(input: $input) { ... on AuditExport { content } ... on Fault { code } } }'
  const exported = async (input: object): Promise<{ content?: string; code?: string; events: Record<string, string>[] }> => {
    const { data } = await house.ask<{ exportAudit: { content?: string; code?: string } }>({ plane: 'console', bearer }, document, { input })
    const answer = data!.exportAudit
    const lines = (answer.content ?? '').split('\n').filter(Boolean).map((line) => JSON.parse(line) as { event?: Record<string, string> | null })
    return { ...answer, events: lines.flatMap(({ event }) => (event ? [event] : [])) }
  }
  const everything = (await exported({ first: 5_000 })).events
  expect(new Set(everything.map((event) => event['tenant_id']))).toEqual(new Set([zaytuna.id]))
  for (const [argument, type, column] of [['recipientId', 'CareRecipient', 'subject_id'], ['actorId', 'Membership', 'actor_id']] as const) {
    // Some of the planted have done or suffered nothing; the lines of one who has are shown, and no others.
    const known = everything.map((event) => event[column]).find((id) => theirs.ids.get(type)!.includes(encodeGlobalId(type, id ?? '')))!
    const mine = (await exported({ [argument]: encodeGlobalId(type, known) })).events
    expect(mine.length).toBeGreaterThan(0)
    expect(new Set(mine.map((event) => event[column]))).toEqual(new Set([known]))
    const nobodysAnswer = await exported({ [argument]: encodeGlobalId(type, randomUUID()) })
    expect(nobodysAnswer.events).toEqual([])
    for (const foreign of own.ids.get(type)!.slice(0, 3)) expect(await exported({ [argument]: foreign })).toEqual(nobodysAnswer)
  }
  for (const bad of ['', 'A'.repeat(1_000), encodeGlobalId('Membership', decodeGlobalId(theirs.ids.get('CareRecipient')![0]!).id)]) {
    expect(await exported({ recipientId: bad })).toMatchObject({ code: 'NOT_FOUND', events: [] })
  }
  // A number beyond the own chain that the other tenant's chain has, and one that none has.
  const heads = await house.at.owner<{ tenant_id: string; head: number }>('select tenant_id, max(seq)::int as head from audit.link group by 1')
  const headOf = (id: string) => heads.find(({ tenant_id }) => tenant_id === id)!.head
  expect(headOf(cedar.id)).toBeGreaterThan(headOf(zaytuna.id))
  const [beyond, nowhere] = [headOf(cedar.id), 2_000_000]
  const foreign = await exported({ after: beyond, actorId: encodeGlobalId('Membership', randomUUID()) })
  const none = await exported({ after: nowhere, actorId: encodeGlobalId('Membership', randomUUID()) })
  expect(foreign.content?.replaceAll(String(beyond), '<after>')).toBe(none.content?.replaceAll(String(nowhere), '<after>'))
  expect(foreign.content).toContain('"prev":""')
})
