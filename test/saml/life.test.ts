/** The life of a connection: who is let in as what, roll-over, refresh, enforcement, sign-out from the other end. */
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { newId } from '../../src/kernel/id.ts'
import type { Care } from '../../src/modules/care/contract.ts'
import type { buildSaml } from '../../src/modules/federation/saml/index.ts'
import { logoutRequest } from '../../src/modules/federation/saml/messages.ts'
import { operatorCaller } from '../../src/operator/operator-scope.ts'
import { systemCaller } from '../../src/platform/jobs/system.ts'
import { authLogin } from '../../src/platform/module.ts'
import { password, type TestTenant } from '../kit/house.ts'
import { samlHouse, type SamlHouse } from '../kit/saml-house.ts'
import { Browser, certificatesIn, metadataOf, startIdp, type IdpDouble, type Page } from '../kit/saml-idp.ts'
import { keysOf, makeProvider } from '../kit/saml-provider.ts'
import { until } from '../kit/server.ts'

let house: SamlHouse
let tenant: TestTenant
let idp: IdpDouble
let connectionId: string
let bearer: string

// Made before the house is: making a key holds this whole process up, and a server that is held up refuses.
const entityId = 'https://idp.life.example/metadata'
const [stranger, next, staged] = [makeProvider(entityId), makeProvider(entityId), makeProvider(entityId)] as const

beforeAll(async () => {
  idp = await startIdp(entityId)
  house = await samlHouse()
  tenant = await house.tenant()
  connectionId = await house.connect(tenant, idp, { jitRole: 'caregiver', metadataUrl: `${idp.url}/metadata` })
  bearer = await house.signIn(tenant, 'tenant_admin')
}, 120_000)
afterAll(async () => {
  await idp.close()
  await house.close()
})

const globalId = (type: string, id: string) => Buffer.from(`${type}:${id}`).toString('base64url')
const here = () => globalId('SsoConnection', connectionId)

/** One mutation; the code of its refusal (or its message), or what it answers. */
async function change(mutation: string, variables: Record<string, unknown> = {}, told: 'code' | 'message' = 'code'): Promise<string | Record<string, unknown>> {
  const types = { id: 'ID!', rules: '[SsoRuleInput!]!', member: 'ID!', text: 'String!' }
  const used = Object.entries(types).filter(([name]) => mutation.includes(`$${name}`))
  const declared = used.length === 0 ? '' : `(${used.map(([name, type]) => `$${name}: ${type}`).join(', ')})`
  const reply = await house.ask<Record<string, { code?: string; message?: string } & Record<string, unknown>>>(
    { plane: 'console', bearer },
    `mutation ${declared} { answer: ${mutation} }`,
    { id: here(), ...variables },
  )
  const answer = reply.data?.['answer']
  if (!answer) throw new Error(JSON.stringify(reply))
  return answer[told] ?? answer
}
const connection = `{ ... on SsoConnection { state isEnforced } ... on Fault { code } }`
const rules = (given: readonly unknown[]) => change(`setSsoRules(connectionId: $id, rules: $rules) ${connection}`, { rules: given })

/** Runs the daily job in one tenant, as whoever runs jobs. */
async function refresh(of = tenant): Promise<void> {
  const made = house.composed.made['saml'] as ReturnType<typeof buildSaml>
  await made.refresh.run(() => house.database.unit(systemCaller(of.id, 'saml.refresh', newId())))
}
const rowOf = async () => (await house.at.owner(`select state, metadata_problem, is_enforced from saml.connection where id = $1`, [connectionId]))[0]!

describe('roles', () => {
  test('come of the first rule that matches, and follow the rules at the next sign-in', async () => {
    await rules([
      { attribute: 'groups', value: 'doctors', role: 'clinician' },
      { attribute: 'groups', value: 'desk', role: 'care_coordinator' },
    ])
    idp.person = { nameId: 'rana@hospital.example', attributes: { groups: ['desk', 'doctors'] } }
    expect((await house.session((await house.signInAt(tenant)).browser))['role']).toBe('clinician')
    idp.person = { ...idp.person, attributes: { groups: ['desk'] } }
    expect((await house.session((await house.signInAt(tenant)).browser))['role']).toBe('care_coordinator')
    idp.person = { ...idp.person, attributes: { groups: ['DESK'] } }
    expect((await house.session((await house.signInAt(tenant)).browser))['role']).toBe('caregiver')
  })

  test('of administrators are mapped with a second factor in the session, and not without', async () => {
    const admins = [{ attribute: 'groups', value: 'it', role: 'tenant_admin' }]
    expect(await rules(admins)).toBe('SECOND_FACTOR_NEEDED')
    await house.at.owner(`update identity.session set second_factor_at = now() where tenant_id = $1 and membership_id = $2`, [
      tenant.id,
      tenant.member.tenant_admin.membershipId,
    ])
    expect(await rules(admins)).toMatchObject({ state: 'ACTIVE' })
  })
})

describe('passwords are switched off', () => {
  test('not before two administrators have signed in through it and a code is stored; and the code brings them back', { timeout: 60_000 }, async () => {
    const enforcing = () => change(`enforceSsoConnection(connectionId: $id) ${connection.replace('code', 'code message')}`, {}, 'message')
    expect(await enforcing()).toMatch(/Missing: two administrators, a stored recovery code/)
    // One was here before and is linked by hand; the other comes by the rule.
    const admin = tenant.member.tenant_admin
    const member = globalId('Membership', admin.membershipId)
    await change(`linkSsoMember(connectionId: $id, membershipId: $member, externalId: $text) { ... on SsoDone { done } ... on Fault { code } }`, {
      member,
      text: 'boss@hospital.example',
    })
    const comesIn = async (nameId: string) => {
      idp.person = { nameId, attributes: { groups: ['it'] } }
      expect(await house.session((await house.signInAt(tenant)).browser)).toMatchObject({ role: 'tenant_admin', plane: 'console', nameId })
    }
    // Twice is still one, and the administrator who asks came by password: that counts for nothing.
    for (const nameId of ['boss@hospital.example', 'boss@hospital.example']) await comesIn(nameId)
    expect(await enforcing()).toMatch(/Missing: one administrator, a stored recovery code/)
    await comesIn('second@hospital.example')
    expect(await enforcing()).toMatch(/Missing: a stored recovery code/)
    const made = (await change(`makeSsoRecoveryCode(connectionId: $id) { ... on SsoSecret { value } ... on Fault { code } }`)) as { value: string }
    expect(await change(`enforceSsoConnection(connectionId: $id) ${connection}`)).toBe('ENFORCEMENT_TOO_SOON')
    const confirm = (text: string) => change(`confirmSsoRecoveryCode(connectionId: $id, code: $text) { ... on SsoDone { done } ... on Fault { code } }`, { text })
    expect(await confirm('another')).toBe('RECOVERY_REFUSED')
    expect(await confirm(made.value)).toEqual({ done: true })
    // Who was an administrator when she came and is none now does not count, nor does who came before the connection was last switched on.
    const second = `id = (select membership_id from saml.session where name_id = 'second@hospital.example' limit 1)`
    await house.at.owner(`update identity.membership set status = 'SUSPENDED' where ${second}`)
    expect(await enforcing()).toMatch(/Missing: one administrator\.$/)
    await house.at.owner(`update identity.membership set status = 'ACTIVE' where ${second}`)
    await house.at.owner(`update saml.connection set activated_at = now() where id = $1`, [connectionId])
    expect(await enforcing()).toMatch(/Missing: two administrators\.$/)
    for (const nameId of ['boss@hospital.example', 'second@hospital.example']) await comesIn(nameId)
    expect(await change(`enforceSsoConnection(connectionId: $id) ${connection}`)).toEqual({ state: 'ENFORCED', isEnforced: true })

    const byPassword = async (role: 'tenant_admin' | 'family') => {
      const { email, plane } = tenant.member[role]
      const reply = await house.ask<{ signIn: { code?: string } }>(
        { plane, tenant: tenant.slug },
        `mutation ($input: SignInInput!) { signIn(input: $input) { __typename ... on Fault { code } } }`,
        { input: { email, password } },
      )
      return reply.data?.signIn.code ?? 'in'
    }
    expect([await byPassword('tenant_admin'), await byPassword('family')]).toEqual(['SIGN_ON_REQUIRED', 'in'])

    const recover = (code: string) => new Browser().open(`${house.url}/saml/${tenant.slug}/recover`, { method: 'POST', form: { code } })
    expect((await recover('wrong')).status).toBe(403)
    expect((await recover(made.value)).status).toBe(200)
    expect([(await rowOf())['state'], await byPassword('tenant_admin')]).toEqual(['ACTIVE', 'in'])
    expect((await recover(made.value)).status).toBe(403)
  })
})

describe('a session', () => {
  test('ends when the identity provider says so, here as soon as there', async () => {
    const left = async (nameId: string, sessionEnds?: number) => {
      idp.person = { nameId, ...(sessionEnds === undefined ? {} : { sessionEnds }) }
      const { browser } = await house.signInAt(tenant)
      const rows = await house.at.owner<{ left: number }>(
        `select extract(epoch from s.expires_at - now())::int as left from identity.session s join saml.session m on m.session_id = s.id where m.name_id = $1`,
        [nameId],
      )
      return { browser, seconds: rows[0]!.left }
    }
    expect((await left('long@hospital.example')).seconds).toBeGreaterThan(3_600)
    expect((await left('longer@hospital.example', 30 * 86_400)).seconds).toBeLessThanOrEqual(12 * 3_600)
    const { browser, seconds } = await left('short@hospital.example', 3_600)
    expect([seconds > 3_500, seconds <= 3_600]).toEqual([true, true])

    const slug = `${house.url}/saml/${tenant.slug}`
    const addresses = { entityId: idp.provider.entityId, metadataUrl: '', acsUrl: '', loginUrl: '', logoutUrl: `${idp.url}/slo` }
    const sent = (by = idp.provider) => {
      const keys = keysOf(by)
      const subject = { nameId: 'short@hospital.example', nameIdFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress', sessionIndex: '_s1' }
      const to = logoutRequest({ id: '_logout-1', addresses, keys, idp: { entityId: slug, slo: { url: `${slug}/logout`, binding: 'redirect' } }, subject })
      return to.kind === 'REDIRECT' ? to.url : ''
    }
    expect((await new Browser().open(sent(stranger))).status).toBe(403)
    expect((await house.session(browser))['via']).toBe('saml')
    const answer = await new Browser().open(sent())
    expect([answer.status, answer.location?.startsWith(`${idp.url}/slo?SAMLResponse=`)]).toEqual([302, true])
    expect((await house.session(browser))['via']).toBeUndefined()
  })

  test('is stepped up by the same person proving herself anew, and by nobody else', async () => {
    idp.person = { nameId: 'step@hospital.example' }
    const { browser } = await house.signInAt(tenant)
    const again = (): Promise<{ status: number; location: string | null; body: string; url: string }> => house.signInAt(tenant, '?step-up=1&plane=courier', browser).then(({ page }) => page)
    expect((await again()).status).toBe(303)
    expect(idp.seen.at(-1)?.forceAuthn).toBe(true)
    const factors = () => house.at.owner(`select 1 from identity.session s join saml.session m on m.session_id = s.id where m.name_id = 'step@hospital.example' and s.second_factor_at is not null`)
    expect(await factors()).toHaveLength(1)
    // Another person; and herself, as she proved herself before she was asked, beyond what clocks may differ.
    for (const person of [{ nameId: 'else@hospital.example' }, { nameId: 'step@hospital.example', authenticated: -65 }]) {
      idp.person = person
      const page = await again()
      expect([page.status, await house.reasonOn(tenant, page)]).toEqual([403, 'OTHER_PERSON'])
    }
  })
})

describe('a step-up sign-in', () => {
  test('opens one record in an emergency, within five minutes, in its own session: nothing else takes it, and nothing takes it twice', async () => {
    await rules([{ attribute: 'groups', value: 'doctors', role: 'clinician' }])
    const care = house.composed.made['care']!.contract as Care
    const unit = house.database.unit(tenant.member.care_coordinator.caller)
    const { id } = await unit.command((scope) => care.createRecipient(scope, { givenName: 'Salma' }))
    const open = async (browser: Browser): Promise<string> => {
      const input = { recipientId: globalId('CareRecipient', id), reason: 'Found unconscious, nobody to ask', minutes: 5 }
      const reply = await house.ask<{ done: { __typename: string; code?: string } }>(
        { plane: 'clinician', tenant: tenant.slug, cookie: browser.cookies().join('; ') },
        'mutation ($input: OpenBreakGlassInput!) { done: openBreakGlass(input: $input) { __typename ... on Fault { code } } }',
        { input },
      )
      return reply.data?.done.code ?? reply.data?.done.__typename ?? JSON.stringify(reply)
    }
    idp.person = { nameId: 'doctor@hospital.example', attributes: { groups: ['doctors'] } }
    const { browser } = await house.signInAt(tenant)
    const { browser: elsewhere } = await house.signInAt(tenant)
    const stepUp = () => house.signInAt(tenant, '?step-up=1&plane=clinician', browser)
    expect(await open(browser)).toBe('FACTOR_NEEDED')
    await stepUp()
    expect(await open(elsewhere)).toBe('FACTOR_NEEDED')
    const age = (by: string) => house.at.owner(`update identity.session set step_up_at = now() - $2::interval where tenant_id = $1 and step_up_at is not null`, [tenant.id, by])
    await age('5 minutes 1 second')
    expect(await open(browser)).toBe('FACTOR_NEEDED')
    await age('4 minutes')
    const both = await Promise.all([open(browser), open(browser)])
    expect(both.toSorted()).toEqual(['BreakGlassGrant', 'FACTOR_NEEDED'])
    expect(await open(browser)).toBe('FACTOR_NEEDED')
    await stepUp()
    expect(await open(browser)).toBe('BreakGlassGrant')
  })
})

describe('at three in the morning', () => {
  test('bad metadata changes nothing, and says why', async () => {
    const good = idp.metadata
    for (const [bad, problem] of [['not xml', 'metadata'], [metadataOf('https://other.example', idp.url, [idp.provider.certificate]), 'https://other.example']] as const) {
      idp.metadata = bad
      await refresh()
      expect((await rowOf())['metadata_problem']).toContain(problem)
      idp.person = { nameId: 'night@hospital.example' }
      expect((await house.session((await house.signInAt(tenant)).browser))['via']).toBe('saml')
    }
    idp.metadata = good
    await refresh()
    expect((await rowOf())['metadata_problem']).toBeNull()
  })

  test('metadata that has run out is not taken for good because its address says that nothing has changed', async () => {
    const good = idp.metadata
    const tagged = async () => (await house.at.owner('select metadata_etag is not null as tagged from saml.connection where id = $1', [connectionId]))[0]!['tagged']
    await refresh()
    expect([await tagged(), (await rowOf())['metadata_problem']]).toEqual([true, null])
    const day = 86_400_000
    idp.metadata = good.replace(' entityID=', ` validUntil="${new Date(Date.now() + day).toISOString()}" entityID=`)
    await refresh()
    expect([await tagged(), (await rowOf())['metadata_problem']]).toEqual([false, null])
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2 * day })
    await refresh().finally(() => vi.useRealTimers())
    expect((await rowOf())['metadata_problem']).toContain('no longer valid')
    // What was read last stays in force, and the next good document clears it.
    idp.person = { nameId: 'night@hospital.example' }
    expect((await house.session((await house.signInAt(tenant)).browser))['via']).toBe('saml')
    idp.metadata = good
    await refresh()
    expect([await tagged(), (await rowOf())['metadata_problem']]).toEqual([true, null])
  })

  test('an address that nobody vouched for is of the public internet every day anew', async () => {
    const given = (url: string, vouched: boolean) =>
      house.at.owner('update saml.connection set metadata_vouched = $2, metadata_url = $3 where id = $1', [connectionId, vouched, url])
    const problem = async () => {
      await refresh()
      return (await rowOf())['metadata_problem']
    }
    // As IT gave it: the name may have been a public one that day.
    await given(`https://127.0.0.1:${new URL(idp.url).port}/metadata`, false)
    expect(await problem()).toMatch(/cannot be fetched: it is a private address/)
    await given(`${idp.url}/metadata`, true)
    expect(await problem()).toBeNull()
  })

  test('an address that hangs holds up its own connection and no other', async () => {
    const hanging: ServerResponse[] = []
    const server = createServer((_, response) => void hanging.push(response)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const clinic = await house.tenant()
    const other = await startIdp()
    const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metadata`
    const first = await house.connect(clinic, { metadata: other.metadata.replace(other.provider.entityId, 'https://idp.hangs.example') }, { metadataUrl: at })
    await house.connect(clinic, other, { metadataUrl: `${other.url}/metadata` })
    other.metadata = metadataOf(other.provider.entityId, other.url, [other.provider.certificate, next.certificate])
    const running = refresh(clinic)
    await until('the other one is read', async () => {
      const rows = await house.at.owner('select from saml.certificate where tenant_id = $1 and pem = $2', [clinic.id, next.certificate])
      return hanging.length === 1 && rows.length === 1
    })
    hanging[0]!.writeHead(503).end()
    await running
    expect(await house.at.owner('select metadata_problem from saml.connection where id = $1', [first])).toEqual([{ metadata_problem: 'its address answered 503' }])
    await Promise.all([other.close(), new Promise((resolve) => server.close(resolve))])
  })

  /** People sign in one after the other, four at a time, while `during` happens. What became of each, and when it began and ended. */
  async function underLoad(during: (some: (more: number) => Promise<void>, moment: (what: () => Promise<unknown>) => Promise<void>) => Promise<void>) {
    let stop = false
    const logins: { began: number; ended: number; result: number | string | null }[] = []
    const moments: { began: number; ended: number }[] = []
    const arrived: (() => void)[] = []
    let tick = 0
    const worker = async () => {
      while (!stop) {
        const began = tick++
        const { page } = await house.signInAt(tenant).catch((error: Error) => ({ page: { status: 0, body: error.message } }))
        const result = page.status === 303 ? 303 : page.status === 403 ? await house.reasonOn(tenant, page as Page) : page.body
        logins.push({ began, ended: tick++, result })
        arrived.splice(0).forEach((tell) => tell())
      }
    }
    const workers = Array.from({ length: 4 }, worker)
    const some = async (more: number) => {
      const goal = logins.length + more
      while (logins.length < goal) await new Promise<void>((resolve) => void arrived.push(resolve))
    }
    await some(4)
    await during(some, async (what) => {
      const began = tick++
      await what()
      moments.push({ began, ended: tick++ })
    })
    stop = true
    await Promise.all(workers)
    expect([...new Set(logins.map(({ result }) => result))]).toEqual([303])
    // Logins were under way when each change began, and when it was done.
    for (const at of moments.flatMap(({ began, ended }) => [began, ended])) expect(logins.some((one) => one.began < at && one.ended > at)).toBe(true)
    return moments.length
  }

  test('a certificate rolls over under load, and not one login fails', { timeout: 90_000 }, async () => {
    idp.person = { nameId: 'load@hospital.example' }
    await house.signInAt(tenant)
    const changes = await underLoad(async (some, moment) => {
      // Published beside the old one, used, and then alone.
      idp.metadata = metadataOf(idp.provider.entityId, idp.url, [idp.provider.certificate, next.certificate])
      await moment(refresh)
      idp.signsWith = next
      await some(8)
      idp.metadata = metadataOf(idp.provider.entityId, idp.url, [next.certificate])
      await moment(refresh)
      await some(4)
    })
    expect(changes).toBe(2)
    // The old one is worth nothing any more.
    idp.signsWith = idp.provider
    const { page } = await house.signInAt(tenant)
    expect(await house.reasonOn(tenant, page)).toMatch(/^SIGN/)
    idp.signsWith = next
  })

  test('our first keys are made once, however many ask for them at the same moment', async () => {
    const clinic = await house.tenant()
    const pages = await Promise.all(Array.from({ length: 6 }, async () => (await fetch(`${house.url}/saml/${clinic.slug}/metadata`)).text()))
    expect([new Set(pages).size, certificatesIn(pages[0]!, 'signing').length, certificatesIn(pages[0]!, 'encryption').length]).toEqual([1, 1, 1])
    expect(await house.at.owner('select use from saml.key where tenant_id = $1 order by use', [clinic.id])).toEqual([{ use: 'ENCRYPTION' }, { use: 'SIGNING' }])
  })

  test('our own certificates, for signing and for encryption, roll under load with both in the metadata, and not one login fails', { timeout: 90_000 }, async () => {
    const ours = async () => (await fetch(`${house.url}/saml/${tenant.slug}/metadata`)).text()
    const counts = (text: string) => (['signing', 'encryption'] as const).map((use) => certificatesIn(text, use).length)
    const roll = () => change('rollSsoKeys { ... on SsoDone { done } ... on Fault { code } }')
    /** Days pass for the keys; rolling makes this process look at them anew. */
    const pass = async (days: number) => {
      await house.at.owner(
        `update saml.key set active_from = active_from - make_interval(days => $2), retire_at = retire_at - make_interval(days => $2) where tenant_id = $1`,
        [tenant.id, days],
      )
      await roll()
    }
    const first = await ours()
    expect(counts(first)).toEqual([1, 1])
    Object.assign(idp, { held: first, encrypts: true, person: { nameId: 'load@hospital.example' } })
    let [second, third] = ['', '']
    await underLoad(async (some, moment) => {
      // Published, and unknown to the provider yet; rolled again, the successor stays the same.
      await moment(roll)
      await moment(roll)
      await some(4)
      second = await ours()
      expect([counts(second), certificatesIn(second, 'encryption')[0]]).toEqual([[2, 2], certificatesIn(first, 'encryption')[0]])
      idp.held = second
      // In force: it signs, while the provider still encrypts to its forerunner.
      await moment(() => pass(31))
      await some(4)
      third = await ours()
      expect(certificatesIn(third, 'signing')[0]).toBe(certificatesIn(second, 'signing')[1])
      expect(certificatesIn(third, 'encryption')[0]).toBe(certificatesIn(second, 'encryption')[1])
      idp.held = third
      await some(4)
      // The forerunner is gone, and nobody misses it.
      await moment(() => pass(31))
      await some(4)
    })
    const last = await ours()
    for (const use of ['signing', 'encryption'] as const) expect(certificatesIn(last, use)).not.toContain(certificatesIn(first, use)[0])
    // Who has slept through all of it cannot verify our request any more.
    idp.held = first
    expect((await new Browser().follow(house.loginUrl(tenant))).status).toBe(400)
    Object.assign(idp, { held: null, encrypts: false })
  })

  test('a staged certificate is in force from the first login that it verifies', async () => {
    await change(`stageSsoCertificate(connectionId: $id, pem: $text) ${connection}`, { text: staged.certificate })
    const states = async () => (await house.at.owner(`select state from saml.certificate where connection_id = $1 order by created_at desc limit 1`, [connectionId]))[0]?.['state']
    expect(await states()).toBe('STAGED')
    idp.signsWith = staged
    expect((await house.signInAt(tenant)).page.status).toBe(303)
    expect(await states()).toBe('PINNED')
    // The provider's metadata lags behind: it does not take the certificate away.
    await refresh()
    expect((await house.signInAt(tenant)).page.status).toBe(303)
    // One that was retired may be staged anew; until a login has proven it, nothing hangs on it.
    const stateOf = async () => (await house.at.owner('select state from saml.certificate where pem = $1', [old.trim() + '\n']))[0]?.['state']
    const old = idp.provider.certificate
    expect(await stateOf()).toBe('RETIRED')
    await change(`stageSsoCertificate(connectionId: $id, pem: $text) ${connection}`, { text: old })
    expect(await stateOf()).toBe('STAGED')
    idp.signsWith = idp.provider
    expect((await house.signInAt(tenant)).page.status).toBe(303)
    expect(await stateOf()).toBe('PINNED')
    idp.signsWith = staged
  })

  test('administrators are told once at each of 30, 7 and 1 days, and the connection is ROTATING until a newer one comes', async () => {
    const end = (days: number) => house.at.owner(`update saml.certificate set not_after = now() + make_interval(days => $2) where connection_id = $1`, [connectionId, days])
    const warned = async () => Number((await house.at.owner(`select count(*) from audit.event where tenant_id = $1 and action = 'saml.certificate_warned'`, [tenant.id]))[0]!['count'])
    for (const [days, count] of [[40, 0], [29, 1], [29, 1], [6, 2], [1, 3], [0, 3]] as const) {
      await end(days)
      await refresh()
      expect([days, await warned()]).toEqual([days, count])
    }
    // A letter to each administrator each time.
    const spool = join(house.dataDir, 'mail')
    const letters = readdirSync(spool).map((name) => readFileSync(join(spool, name), 'latin1')).filter((letter) => /^Subject: .*certificate/im.test(letter))
    const told = letters.map((letter) => /ends in (\d+) day/.exec(letter)?.[1])
    expect([new Set(told).size, told.length % 3]).toEqual([3, 0])
    expect((await rowOf())['state']).toBe('ROTATING')
    expect((await house.signInAt(tenant)).page.status).toBe(303)
    await end(400)
    await refresh()
    expect((await rowOf())['state']).toBe('ACTIVE')
  })
})

test('the operator finds an attempt by its number, in both languages, and no other tenant does', async () => {
  const page = await new Browser().open(`${house.url}/saml/${tenant.slug}/acs`, { method: 'POST', form: { SAMLResponse: 'x' } })
  const id = /<code>([0-9a-f-]{36})<\/code>/.exec(page.body)![1]!
  const read = (tenantId: string) => house.database.unit(operatorCaller(tenantId)).command((scope) => house.saml.operatorAttempt(scope, { id }), authLogin)
  expect(await read(tenant.id)).toMatchObject({ result: 'REFUSED', sentence: { en: expect.any(String), ar: expect.stringMatching(/[\u0600-\u06ff]/) } })
  const other = await house.tenant()
  await expect(read(other.id)).rejects.toThrow(expect.objectContaining({ code: 'NOT_FOUND' }))
})

test('what is over is let go, and nothing that could still be answered, replayed, signed out or counted', async () => {
  const ids = (await house.at.owner<{ id: string }>('select id from saml.attempt where connection_id = $1 limit 2', [connectionId])).map(({ id }) => id)
  const counts = async () =>
    (await house.at.owner(
      `select (select count(*)::int from saml.request where tenant_id = $1) as requests, (select count(*)::int from saml.outcome where tenant_id = $1) as outcomes,
        (select count(*)::int from saml.replay where tenant_id = $1) as replays, (select count(*)::int from saml.attempt where tenant_id = $1) as attempts,
        (select count(*)::int from saml.session where tenant_id = $1) as sessions`,
      [tenant.id],
    ))[0] as Record<string, number>
  const tidy = async () => {
    const made = house.composed.made['saml'] as ReturnType<typeof buildSaml>
    const unit = house.database.unit({ ...operatorCaller(tenant.id), actor: { kind: 'system', job: 'saml.tidy' } })
    await unit.command(async (scope) => {
      unit.record({ action: 'job.ran', resource: 'Job', outcome: 'done' })
      await made.tidy(scope)
    }, authLogin)
  }
  const before = await counts()
  await tidy()
  expect(await counts()).toEqual(before)
  const age = (table: string, column: string, days: number, which: string) =>
    house.at.owner(`update saml.${table} set ${column} = now() - make_interval(days => $2) where tenant_id = $1 and ${which}`, [tenant.id, days])
  await age('request', 'expires_at', 2, `purpose = 'STEP_UP'`)
  await age('outcome', 'expires_at', 2, `used_at is not null`)
  await age('replay', 'not_on_or_after', 2, `true`)
  await age('attempt', 'created_at', 91, `id = '${ids[0]}'`)
  await age('session', 'created_at', 91, `name_id in ('short@hospital.example', 'second@hospital.example')`)
  await tidy()
  const after = await counts()
  expect(after['requests']).toBeLessThan(before['requests']!)
  expect(await house.at.owner(`select purpose from saml.request where tenant_id = $1 and purpose = 'STEP_UP'`, [tenant.id])).toEqual([])
  // The administrator's session stays: enforcement counts who came.
  expect([before['attempts']! - after['attempts']!, before['sessions']! - after['sessions']!, after['replays']]).toEqual([1, 1, 0])
  expect(after['outcomes']).toBeLessThan(before['outcomes']!)
})
