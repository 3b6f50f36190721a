/**
 * The trail of single sign-on: every attempt, however it ends, leaves one row of the audit trail with its reason and connection, and nothing
 * of what was asserted; and a failed one is found by its number with the exact cause, in both languages.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { logoutRequest } from '../../src/modules/federation/saml/messages.ts'
import { reasonSentence } from '../../src/modules/federation/saml/reasons.ts'
import type { TestTenant } from '../kit/house.ts'
import { samlHouse, type SamlHouse } from '../kit/saml-house.ts'
import { answerOf, Browser, startIdp, type IdpDouble, type Page, type Person } from '../kit/saml-idp.ts'
import { keysOf, makeProvider } from '../kit/saml-provider.ts'

let house: SamlHouse
let tenant: TestTenant
let idp: IdpDouble
let connectionId: string
let bearer: string
const stranger = makeProvider('https://stranger.example')
/** Whatever of an assertion could reach the trail: made up, so that it cannot stand there for another reason. */
const said = { name: 'zubaida-7731', ward: 'oncology-ward-4410', group: 'group-nurses-5520', session: '_session-8842' }
const address = (who = said.name) => `${who}@hospital.example`
const person = (nameId: string, more: Partial<Person> = {}): Person =>
  ({ nameId, sessionIndex: said.session, attributes: { ward: [said.ward], groups: [said.group] }, ...more })

beforeAll(async () => {
  idp = await startIdp()
  house = await samlHouse()
  tenant = await house.tenant()
  connectionId = await house.connect(tenant, idp, { jitRole: 'clinician' })
  bearer = await house.signIn(tenant, 'tenant_admin')
}, 60_000)
afterAll(async () => {
  await idp.close()
  await house.close()
})

const acs = () => `${house.url}/saml/${tenant.slug}/acs`
const base = () => ({ acsUrl: acs(), audience: `${house.url}/saml/${tenant.slug}/metadata`, person: person(address()) })
const post = (SAMLResponse: string, browser = new Browser()) => browser.open(acs(), { method: 'POST', form: { SAMLResponse }, fromSite: idp.url })
/** A request that is out, with the browser that carries it. */
async function asked(query = '') {
  const browser = new Browser()
  await browser.follow(house.loginUrl(tenant, query))
  return { browser, inResponseTo: idp.seen.at(-1)!.id }
}
const set = (change: string) => house.at.owner(`update saml.connection set ${change} where id = $1`, [connectionId])
const signIn = async (as: Person, query = '', browser = new Browser()) => {
  idp.person = as
  return (await house.signInAt(tenant, query, browser)).page
}

interface Case {
  readonly name: string
  readonly action: string
  readonly reason: string | null
  /** Null where nothing says yet which connection it is of. */
  readonly known?: boolean
  readonly act: () => Promise<Page | void>
}
const refused = (reason: string, act: Case['act'], known = true, name = reason): Case => ({ name, action: 'saml.refused', reason, known, act })
const here = new Browser()

const cases: readonly Case[] = [
  { name: 'a sign-in', action: 'saml.signed_in', reason: null, act: () => signIn(person(address()), '', here) },
  { name: 'a step-up', action: 'saml.stepped_up', reason: null, act: () => signIn(person(address()), '?step-up=1&plane=clinician', here) },
  refused('OTHER_PERSON', () => signIn(person(address('else')), '?step-up=1&plane=clinician', here)),
  {
    name: 'a test sign-in',
    action: 'saml.tested',
    reason: null,
    act: async () => {
      const link = await house.ask<{ made: { value: string } }>(
        { plane: 'console', bearer },
        'mutation ($id: ID!) { made: createSsoTestLink(connectionId: $id) { ... on SsoSecret { value } } }',
        { id: Buffer.from(`SsoConnection:${connectionId}`).toString('base64url') },
      )
      idp.person = person(address('tester'))
      const browser = new Browser()
      const posted = await browser.press(await browser.follow(link.data!.made.value))
      await browser.open(posted.location!)
    },
  },
  refused('NOT_BASE64', () => post('*'), false),
  refused('XML_MALFORMED', () => post(Buffer.from('not xml').toString('base64')), false),
  refused('UNKNOWN_PROVIDER', () => post(answerOf(stranger, { ...base(), inResponseTo: null })), false),
  refused('UNKNOWN_REQUEST', () => post(answerOf(idp.provider, { ...base(), inResponseTo: '_nobody-asked' })), false),
  refused('UNSOLICITED', () => post(answerOf(idp.provider, { ...base(), inResponseTo: null }))),
  refused('AUDIENCE', async () => {
    const { inResponseTo } = await asked()
    return post(answerOf(idp.provider, { ...base(), inResponseTo, audience: 'https://other.example' }))
  }),
  refused('SIGNING_KEY_UNKNOWN', async () => {
    const { inResponseTo } = await asked()
    return post(answerOf(idp.provider, { ...base(), inResponseTo, by: stranger }))
  }),
  refused('OTHER_BROWSER', async () => {
    const { inResponseTo } = await asked()
    const posted = await post(answerOf(idp.provider, { ...base(), inResponseTo }))
    return new Browser().open(posted.location!)
  }, false),
  refused('REPLAYED', async () => {
    await set('allow_unsolicited = true')
    const answer = answerOf(idp.provider, { ...base(), inResponseTo: null })
    await post(answer)
    const page = await post(answer)
    await set('allow_unsolicited = false')
    return page
  }),
  refused('WRONG_PLANE', () => signIn(person(address()), '?plane=console')),
  refused('NOT_LINKED', () => signIn(person(tenant.member.family.email))),
  refused('NO_EMAIL', () => signIn(person('no-address', { format: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent' }))),
  refused('TRANSIENT_ID', () => signIn(person(address('t'), { format: 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient' }))),
  refused('NO_ID', async () => {
    await set(`id_attribute = 'oid'`)
    const page = await signIn(person(address()))
    await set('id_attribute = null')
    return page
  }),
  refused('NO_ROLE', async () => {
    await set('jit_role = null')
    const page = await signIn(person(address('roleless')))
    await set(`jit_role = 'clinician'`)
    return page
  }),
  refused('NO_MEMBERSHIP', async () => {
    await set('jit_allowed = false')
    const page = await signIn(person(address('newcomer')))
    await set('jit_allowed = true')
    return page
  }),
  refused('DOMAIN_OF_OTHERS', async () => {
    await house.at.owner(`insert into saml.domain (tenant_id, connection_id, domain, challenge, proven_at, proven_by) values ($1, $2, 'own.example', 'x', now(), 'DNS')`, [tenant.id, connectionId])
    const page = await signIn(person(address('astray')))
    await house.at.owner('delete from saml.domain where connection_id = $1', [connectionId])
    return page
  }),
  refused('MEMBER_INACTIVE', async () => {
    await signIn(person(address('suspended')))
    await house.at.owner(`update identity.membership set status = 'SUSPENDED' where id in (select membership_id from saml.session where name_id = $1)`, [address('suspended')])
    return signIn(person(address('suspended')))
  }),
  {
    name: 'a sign-out from the other end, badly signed',
    action: 'saml.logout_refused',
    reason: 'SIGNATURE_INVALID',
    act: () => leave(stranger),
  },
  { name: 'a sign-out from the other end', action: 'saml.logged_out', reason: 'IDP_LOGOUT', act: () => leave(idp.provider) },
  {
    name: 'a sign-out here',
    action: 'saml.logout_sent',
    reason: null,
    act: async () => {
      const browser = new Browser()
      await signIn(person(address()), '', browser)
      await browser.open(`${house.url}/saml/${tenant.slug}/logout?plane=clinician`)
    },
  },
]

const leave = (by: typeof stranger): Promise<Page> => {
  const slug = `${house.url}/saml/${tenant.slug}`
  const to = logoutRequest({
    id: '_leave-1',
    keys: keysOf(by),
    addresses: { entityId: idp.provider.entityId, metadataUrl: '', acsUrl: '', loginUrl: '', logoutUrl: `${idp.url}/slo` },
    idp: { entityId: slug, slo: { url: `${slug}/logout`, binding: 'redirect' } },
    subject: { nameId: address(), nameIdFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress', sessionIndex: said.session },
  })
  return new Browser().open(to.kind === 'REDIRECT' ? to.url : '')
}

interface Row {
  readonly action: string
  readonly outcome: string
  readonly resource_id: string | null
  readonly detail: { readonly connectionId?: string; readonly reason?: string } | null
}
/** What ends an attempt; what leads to it (`saml.requested`, `saml.received`) is of its own kind. */
const ends = ['refused', 'signed_in', 'stepped_up', 'tested', 'logout_refused', 'logged_out', 'logout_sent'].map((one) => `saml.${one}`)
const rows = () => house.at.owner<Row>('select action, outcome, resource_id, detail from audit.event where tenant_id = $1 and action = any($2) order by at, id', [tenant.id, ends])

test.each(cases)('$name leaves one row', async ({ action, reason, known = true, act }) => {
  const before = (await rows()).length
  const page = await act()
  const left = (await rows()).slice(before)
  // A case may need a sign-in of its own before: the last row is of what it is about.
  const row = left.at(-1)!
  expect(left.filter((one) => one.action === action)).toHaveLength(1)
  expect(left.length).toBeLessThanOrEqual(2)
  expect([row.action, row.detail?.reason ?? null]).toEqual([action, reason])
  const of = /log(?:ged_out|out_sent)$/.test(action) ? row.resource_id : (row.detail?.connectionId ?? null)
  expect(of).toBe(known ? connectionId : null)
  if (action !== 'saml.refused') return

  // The person has its number, and by that an administrator finds why.
  const id = /<code>([0-9a-f-]{36})<\/code>/.exec((page as Page).body)![1]!
  expect([row.resource_id, row.outcome]).toEqual([id, 'denied'])
  const found = await house.ask<{ ssoAttempt: Record<string, unknown> }>(
    { plane: 'console', bearer },
    'query ($id: ID!) { ssoAttempt(id: $id) { result reason sentenceEn sentenceAr } }',
    { id: Buffer.from(`SamlAttempt:${id}`).toString('base64url') },
  )
  const sentence = { en: reasonSentence(reason!, 'en'), ar: reasonSentence(reason!, 'ar') }
  expect(found.data?.ssoAttempt).toEqual({ result: 'REFUSED', reason, sentenceEn: sentence.en, sentenceAr: sentence.ar })
  expect([sentence.en, /[\u0600-\u06ff]/.test(sentence.ar)]).not.toContain(reason)
})

test('nothing of what was asserted stands in the trail, nor in what IT looks up but redacted', async () => {
  const trail = JSON.stringify(await house.at.owner('select * from audit.event where tenant_id = $1', [tenant.id]))
  const attempts = JSON.stringify(await house.at.owner('select * from saml.attempt where tenant_id = $1', [tenant.id]))
  expect(trail.length).toBeGreaterThan(1_000)
  for (const text of [...Object.values(said), address(), 'hospital.example', 'saml:Assertion', idp.provider.entityId]) expect(trail).not.toContain(text)
  for (const text of [said.name, said.ward, said.group, 'saml:Assertion']) expect(attempts).not.toContain(text)
  expect(attempts).toContain('z…@hospital.example')
})
