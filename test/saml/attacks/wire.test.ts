/**
 * The corpus over the wire: every attack and every valid shape, the same bytes that the guard alone is asked, sent to a running server whose
 * tenant, keys and open request are made to fit them. An attack leaves its reason and nothing else; a valid shape leaves a session.
 */
import { inflateRawSync } from 'node:zlib'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { newId } from '../../../src/kernel/id.ts'
import { reasonSentence } from '../../../src/modules/federation/saml/reasons.ts'
import type { LogoutInput, ResponseInput } from '../../../src/modules/federation/saml/guard/verdict.ts'
import type { Vault } from '../../../src/modules/vault/contract.ts'
import { operatorCaller } from '../../../src/operator/operator-scope.ts'
import { authLogin } from '../../../src/platform/module.ts'
import { selfSigned } from '../../kit/certificate.ts'
import type { TestTenant } from '../../kit/house.ts'
import { samlHouse, type SamlHouse } from '../../kit/saml-house.ts'
import { metadataOf } from '../../kit/saml-idp.ts'
import { byPost, byRedirect, logoutId, logoutRequestXml, logoutResponseXml, posted, redirected } from '../../kit/saml-logout.ts'
import { entityXml } from '../../kit/saml-metadata.ts'
import { signElement, type Provider } from '../../kit/saml-provider.ts'
import { asking, hospital, now, person, requestId, responseXml, signedAssertion, stranger } from '../../kit/saml-response.ts'
import { older, ours, valid } from '../../kit/saml-shapes.ts'
import type { Attack } from './attack.ts'
import { corpus } from './corpus.ts'

/** Where a server has its own word before the guard's, or after it: which connection and which browser are no matter of a guard. */
const atTheDoor: Readonly<Record<string, string>> = {
  // It names no request, so it is none of that browser's: nobody asked.
  'an answer to no request where one was asked': 'UNSOLICITED',
  // The request is looked up before anything is verified.
  'an answer to another request': 'UNKNOWN_REQUEST',
  'an assertion of a valid message grafted into an answer to another request': 'UNKNOWN_REQUEST',
  // The answer is right, and waits for the browser that asked: this one has no cookie of it.
  "an answer to somebody else's request, in a browser that asked nothing": 'OTHER_BROWSER',
  "an answer to somebody else's request, where nothing unsolicited is allowed": 'OTHER_BROWSER',
}

let house: SamlHouse
/** One connection for all that is looked up and planted: some six hundred statements. */
let owner: pg.Client
let north: TestTenant
let connectionId: string
/** Of the browser that asked. */
let binding: string

const rows = async <Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> =>
  (await owner.query<Row>(sql, values)).rows
const bare = (messageId: string) => messageId.slice(1)
const cookieName = (messageId: string) => `saml_${bare(messageId).replaceAll('-', '').slice(-12)}`
const idOf = (location: string) => {
  const message = new URL(location).searchParams.get('SAMLRequest')!
  return / ID="_([^"]+)"/.exec(inflateRawSync(Buffer.from(message, 'base64')).toString())![1]!
}
const cookiesOf = (response: Response) => response.headers.getSetCookie().map((one) => one.split(';')[0]!)
const open = async (path: string, cookies: readonly string[] = [], init: RequestInit = {}) => {
  const response = await fetch(house.url + path, { redirect: 'manual', headers: { cookie: cookies.join('; ') }, ...init })
  const attempt = /<code>([0-9a-f-]{36})<\/code>/.exec(await response.text())?.[1] ?? null
  return { status: response.status, location: response.headers.get('location'), cookies: cookiesOf(response), attempt }
}

/** The tenant's own keys to open assertions with: the private halves of those that the documents are encrypted to. */
async function plantKeys(): Promise<void> {
  const vault = house.composed.made['vault']!.contract as Vault
  const [from, until] = [new Date(now.getTime() - 86_400_000), new Date(now.getTime() + 365 * 86_400_000)]
  for (const { privateKey } of [older, ours]) {
    const id = newId()
    const value = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const item = { model: 'SamlKey', field: 'privateKey', rowId: id, value }
    const unit = house.database.unit(operatorCaller(north.id))
    const { sealed } = await unit.command(async (scope) => {
      unit.record({ action: 'test.sealed', resource: 'SamlKey', resourceId: id, outcome: 'done' })
      return vault.sealSecrets(scope, { items: [item] })
    }, authLogin)
    await rows(
      `insert into saml.key (tenant_id, id, use, certificate, private_key, active_from, not_after, retire_at)
       values ($1, $2, 'ENCRYPTION', $3, $4, $5, $6, $6)`,
      [north.id, id, selfSigned(privateKey, 'north', from, until), sealed[0], from, until],
    )
  }
}

beforeAll(async () => {
  // The documents have one clock, and a few of them stand at its edge.
  vi.useFakeTimers({ toFake: ['Date'], now })
  house = await samlHouse({ MARISTAN_DEMO: '0', PUBLIC_URL: 'https://care.example' })
  owner = new pg.Client(house.at.ownerUrl)
  await owner.connect()
  north = await house.tenant('north')
  await plantKeys()
  const metadata = ({ entityId, certificate }: Provider) => ({ metadata: metadataOf(entityId, new URL(entityId).origin, [certificate]) })
  connectionId = await house.connect(north, metadata(hospital), { jitRole: 'clinician' })
  await house.connect(await house.tenant('south'), metadata(stranger), { jitRole: 'clinician' })
  const sent = await open('/saml/north/login')
  binding = `${cookieName(requestId)}=${sent.cookies[0]!.split('=')[1]}`
  // A real request in everything but its id, which the documents name.
  await rows('update saml.request set id = $1 where id = $2', [bare(requestId), idOf(sent.location!)])
}, 60_000)
afterAll(async () => {
  vi.useRealTimers()
  await owner.end()
  await house.close()
})

/** The connection as a document wants it; written only where it differs from the last one's. */
let fitted = ''
async function fit({ idp, allowUnsolicited }: ResponseInput): Promise<void> {
  const wanted = JSON.stringify([idp.certificates, allowUnsolicited])
  if (fitted === wanted) return
  fitted = wanted
  await rows('update saml.connection set allow_unsolicited = $2 where id = $1', [connectionId, allowUnsolicited])
  await rows('delete from saml.certificate where connection_id = $1', [connectionId])
  for (const [k, pem] of idp.certificates.entries()) {
    await rows(
      `insert into saml.certificate (tenant_id, connection_id, fingerprint, pem, not_before, not_after)
       values ($1, $2, $3, $4, now() - interval '1 day', now() + interval '1 year')`,
      [north.id, connectionId, `planted-${k}`, pem],
    )
  }
}

/** How many sessions and members there are; and what IT finds by the number on a page. */
async function state(attempt: string | null = null) {
  const [row] = await rows<{ reason: string | null; sessions: string; members: string }>(
    `select (select reason from saml.attempt where id = $1 and tenant_id = $2) as reason,
       (select count(*) from identity.session) + (select count(*) from saml.session) as sessions,
       (select count(*) from identity.membership) + (select count(*) from identity.directory_link) as members`,
    [attempt, north.id],
  )
  return row!
}

/** Posts an answer as the browser that asked (or as one that did not), and goes where it is sent; where it is refused, it asks who it is. */
async function carry(input: ResponseInput, cookies = input.inResponseTo === null ? [] : [binding]) {
  await fit(input)
  vi.setSystemTime(input.now)
  const taken = await open('/saml/north/acs', [], { method: 'POST', body: new URLSearchParams({ SAMLResponse: input.samlResponse }) })
  const done = await open(taken.location ?? '/session', [...cookies, ...taken.cookies])
  vi.setSystemTime(now)
  const session = [...taken.cookies, ...done.cookies].filter((one) => /^[a-z]_sid=/.test(one))
  return { taken, done, attempt: taken.attempt ?? done.attempt, session }
}
/** The request is open again, and no assertion was ever used. */
const reopen = async () => {
  await rows('update saml.request set answered_at = null')
  await rows('delete from saml.replay')
}

/** As it was after the last attack, as long as nothing else happened. */
let known: Awaited<ReturnType<typeof state>> | null = null
async function expectRefused(reason: string, input: ResponseInput, cookies?: string[]): Promise<void> {
  const before = known ?? (await state())
  known = null
  const { taken, done, attempt, session } = await carry(input, cookies)
  if (taken.status === 303) await reopen()
  expect([taken.status, done.status, session]).toEqual([...(taken.status === 303 ? [303, 403] : [403, 401]), []])
  expect(await state(attempt)).toEqual({ ...before, reason })
  known = before
}

async function signedIn(input: ResponseInput, reopened = true): Promise<string> {
  known = null
  const { done, session } = await carry(input)
  if (reopened) await reopen()
  expect([done.status, done.location, session]).toEqual([303, '/', [expect.stringMatching(/^d_sid=/)]])
  return session[0]!
}
const whoIs = async (cookie: string) => (await fetch(`${house.url}/session`, { headers: { cookie } })).json()

describe('a valid shape opens a session', () => {
  test.each(valid.map(([name, xml, other = {}]) => [name, xml, other] as const))('%s', async (_, xml, other) => {
    const before = await state()
    const cookie = await signedIn(asking(xml(), other))
    expect(await whoIs(cookie)).toMatchObject({ tenant: 'north', nameId: person, role: 'clinician', via: 'saml' })
    expect(Number((await state()).sessions) - Number(before.sessions)).toBe(2)
  })
})

const responses = Object.entries(corpus).filter(([name]) => name !== 'logout' && name !== 'metadata')
describe.each(responses)('%s: refused, and no session', (_, attacks) => {
  const told = (attack: Attack) => atTheDoor[attack.name] ?? attack.reason
  test.each(attacks.map((attack) => [attack.name, told(attack), attack] as const))('%s: %s', async (_name, reason, attack) => {
    const message = attack.message()
    if (message.kind !== 'response') throw new Error('Not of this door.')
    await expectRefused(reason, message.input)
  })
})

describe('what only a server can see: refused, and no session', () => {
  const answer = () => asking(signedAssertion())
  const [, unasked, taking] = valid.find(([name]) => name.startsWith('unsolicited'))!

  test('the same answer again: UNKNOWN_REQUEST', async () => {
    await signedIn(answer(), false)
    await expectRefused('UNKNOWN_REQUEST', answer())
    await rows('update saml.request set answered_at = null')
    // Its request open again, the assertion is still the one that was used.
    await expectRefused('REPLAYED', answer())
    await reopen()
  })

  test('the same unsolicited answer again: REPLAYED', async () => {
    const again = () => asking(unasked(), taking)
    await signedIn(again(), false)
    await expectRefused('REPLAYED', again())
    await reopen()
  })

  test('in another browser, with a cookie of its own making: OTHER_BROWSER', async () => {
    await expectRefused('OTHER_BROWSER', answer(), [])
    await expectRefused('OTHER_BROWSER', answer(), [`${cookieName(requestId)}=${'a'.repeat(43)}`])
  })

  test("another tenant's provider, which is right at that tenant: UNKNOWN_PROVIDER, SIGNING_KEY_UNKNOWN", async () => {
    const theirs = (xml: string) => signElement(xml.replaceAll(hospital.entityId, stranger.entityId), '_assertion', stranger)
    const unsigned = unasked().replace(/<ds:Signature [\s\S]*<\/ds:Signature>/, '')
    await expectRefused('UNKNOWN_PROVIDER', asking(theirs(unsigned), taking))
    await expectRefused('SIGNING_KEY_UNKNOWN', asking(theirs(responseXml())))
  })

  test('a request that is too old: UNKNOWN_REQUEST', async () => {
    await rows(`update saml.request set expires_at = expires_at - interval '1 hour' where id = $1`, [bare(requestId)])
    await expectRefused('UNKNOWN_REQUEST', answer())
    await rows(`update saml.request set expires_at = expires_at + interval '1 hour' where id = $1`, [bare(requestId)])
  })
})

describe('a logout: refused, and nobody is signed out', () => {
  let cookie: string
  const liveOnes = `select count(*) n from saml.session s join identity.session i on i.id = s.session_id
    where s.ended_at is null and i.revoked_at is null`
  const live = async () => (await rows<{ n: string }>(liveOnes))[0]!.n
  const send = (received: LogoutInput['received'], field: 'SAMLRequest' | 'SAMLResponse') => {
    if (received.binding === 'redirect') return open(`/saml/north/logout?${received.query}`)
    const body = new URLSearchParams({ [field]: received.message, RelayState: received.relayState ?? '' })
    return open('/saml/north/logout', [], { method: 'POST', body })
  }

  beforeAll(async () => {
    const leaving = await signedIn(asking(signedAssertion()))
    cookie = await signedIn(asking(signedAssertion()))
    const sent = await open('/saml/north/logout?plane=clinician', [leaving])
    await rows('update saml.request set id = $1 where id = $2', [bare(logoutId), idOf(sent.location!)])
  })

  test.each(corpus.logout.map((attack) => [attack.name, attack.reason, attack] as const))('%s: %s', async (_, reason, attack) => {
    const message = attack.message()
    if (message.kind !== 'logout request' && message.kind !== 'logout answer') throw new Error('Not of this door.')
    const before = await live()
    const { status, attempt } = await send(message.input.received, message.kind === 'logout request' ? 'SAMLRequest' : 'SAMLResponse')
    expect([status, (await state(attempt)).reason, await live()]).toEqual([403, reason, before])
  })

  test('the same messages unchanged are taken, by both bindings', async () => {
    expect(await whoIs(cookie)).toMatchObject({ nameId: person })
    expect((await send(byPost(posted(logoutRequestXml, '_request')), 'SAMLRequest')).status).toBe(302)
    expect(await whoIs(cookie)).not.toHaveProperty('nameId')
    cookie = await signedIn(asking(signedAssertion()))
    expect((await send(byRedirect(redirected(logoutRequestXml, 'SAMLRequest')), 'SAMLRequest')).status).toBe(302)
    expect(await whoIs(cookie)).not.toHaveProperty('nameId')
    const answer = { binding: 'post', message: posted(logoutResponseXml, '_answer'), relayState: logoutId } as const
    expect((await send(answer, 'SAMLResponse')).status).toBe(200)
  })
})

describe('metadata: refused, and the connection stays as it was', () => {
  let bearer: string
  let draft: string
  const configure = async (xml: string) => {
    const reply = await house.ask<{ answer: { code?: string; message?: string; state?: string } }>(
      { plane: 'console', bearer },
      'mutation ($id: ID!, $xml: String!) { answer: configureSsoConnection(connectionId: $id, metadata: $xml) { ... on SsoConnection { state } ... on Fault { code message } } }',
      { id: draft, xml },
    )
    return reply.data!.answer
  }
  const row = () => rows('select state, entity_id, version from saml.connection where name = $1', ['draft'])

  beforeAll(async () => {
    await rows('update saml.connection set entity_id = $2 where id = $1', [connectionId, 'https://idp.elsewhere.example'])
    bearer = await house.signIn(north, 'tenant_admin')
    const made = await house.ask<{ made: { id: string } }>({ plane: 'console', bearer }, 'mutation { made: createSsoConnection(name: "draft") { ... on SsoConnection { id } } }')
    draft = made.data!.made.id
  })

  test.each(corpus.metadata.map((attack) => [attack.name, attack.reason, attack] as const))('%s: %s', async (_, reason, attack) => {
    const message = attack.message()
    if (message.kind !== 'metadata') throw new Error('Not of this door.')
    const before = await row()
    const { code, message: said } = await configure(Buffer.from(message.input.xml).toString())
    expect([code, said]).toEqual(['METADATA_REFUSED', expect.stringContaining(reasonSentence(reason, 'en'))])
    expect(await row()).toEqual(before)
  })

  test('the same metadata unchanged is taken', async () => {
    expect(await configure(entityXml)).toEqual({ state: 'CONFIGURED' })
  })
})
