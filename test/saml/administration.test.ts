/** A connection in the hands of those who set it up: who may test it, whose directory it may name, and every step by command line. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Scim } from '../../src/modules/federation/scim/contract.ts'
import type { buildSaml } from '../../src/modules/federation/saml/index.ts'
import { samlCommands } from '../../src/operator/commands-saml.ts'
import type { Opened } from '../../src/operator/open.ts'
import { operatorCaller } from '../../src/operator/operator-scope.ts'
import { Terminal } from '../../src/operator/terminal.ts'
import { authLogin } from '../../src/platform/module.ts'
import { encodeGlobalId } from '../../src/platform/graphql/global-id.ts'
import type { EgressOptions } from '../../src/platform/http/egress.ts'
import type { TestTenant } from '../kit/house.ts'
import { samlHouse, type SamlHouse } from '../kit/saml-house.ts'
import { Browser, startIdp, type IdpDouble } from '../kit/saml-idp.ts'
import { groupBody, patchBody, userBody } from '../kit/scim.ts'

let house: SamlHouse
let tenant: TestTenant
let idp: IdpDouble
let opened: Opened
let bearer: string
const records = new Map<string, string[]>()

beforeAll(async () => {
  idp = await startIdp()
  house = await samlHouse({ MARISTAN_DEMO: '0' })
  opened = { house: house.composed, foundation: { database: house.database } } as Opened
  Object.assign((house.composed.made['saml'] as ReturnType<typeof buildSaml>).resolver, { txtOf: async (name: string) => records.get(name) ?? [] })
  tenant = await house.tenant()
  bearer = await house.signIn(tenant, 'tenant_admin')
  await approve(tenant)
}, 60_000)
afterAll(async () => {
  await idp.close()
  await house.close()
})

/** The tenant lets the operator act, as its administrator says in the console. */
const approve = ({ id, member }: TestTenant) =>
  house.at.owner(
    `insert into tenancy.operator_approval (tenant_id, id, reason, granted_by, granted_at, expires_at)
     values ($1, gen_random_uuid(), 'Help us', $2, now(), now() + interval '1 hour')`,
    [id, member.tenant_admin.membershipId],
  )

/** One mutation of the console: what it answers, or the code of its refusal. */
async function change(mutation: string, variables: Record<string, unknown> = {}, declared = '($id: ID!)'): Promise<string | Record<string, unknown>> {
  const reply = await house.ask<{ answer: { code?: string } & Record<string, unknown> }>(
    { plane: 'console', bearer },
    `mutation ${declared} { answer: ${mutation} }`,
    variables,
  )
  if (!reply.data?.answer) throw new Error(JSON.stringify(reply))
  return reply.data.answer.code ?? reply.data.answer
}
const newConnection = async (of = tenant, provider = idp): Promise<string> => {
  const unit = house.database.unit(operatorCaller(of.id))
  return unit.command(async (scope) => {
    const { id: connectionId } = await house.saml.create(scope, { name: 'Hospital' })
    await house.saml.configure(scope, { connectionId, xml: provider.metadata.replace(provider.provider.entityId, `${provider.provider.entityId}/${connectionId}`) })
    return connectionId
  }, authLogin)
}
const stateOf = async (id: string) => (await house.at.owner('select state from saml.connection where id = $1', [id]))[0]!['state']
const gid = (id: string) => encodeGlobalId('SsoConnection', id)

describe('a test sign-in', () => {
  const refused = async (id: string, browser = new Browser()) => (await browser.open(house.loginUrl(tenant, `?connection=${id}&test=1`))).status
  /** A browser with the cookie of one plane's sign-in. */
  const signedIn = async (role: 'tenant_admin' | 'clinician'): Promise<Record<string, string>> => {
    const { plane, email } = tenant.member[role]
    const reply = await house.ask(
      { plane, tenant: tenant.slug },
      'mutation ($input: SignInInput!) { signIn(input: $input) { __typename } }',
      { input: { email, password: 'a long enough test password', transport: 'COOKIE' } },
    )
    return { cookie: reply.headers.getSetCookie()[0]!.split(';')[0]! }
  }

  test('is nobody’s who knows the number of a connection: not a stranger’s, not a clinician’s, not another set-up’s', async () => {
    const id = await newConnection()
    expect(await refused(id)).toBe(403)
    const url = house.loginUrl(tenant, `?connection=${id}&test=1`)
    expect((await fetch(url, { redirect: 'manual', headers: await signedIn('clinician') })).status).toBe(403)
    const other = (await change('createSsoSetupLink(connectionId: $id) { ... on SsoSecret { value } }', { id: gid(await newConnection()) })) as { value: string }
    const browser = new Browser()
    const path = `${house.url}/saml/${tenant.slug}/setup`
    await browser.open(path, { method: 'POST', form: { action: 'open', link: new URL(other.value).searchParams.get('link')! } })
    expect(browser.has('saml_setup')).toBe(true)
    expect(await refused(id, browser)).toBe(403)
    expect(await stateOf(id)).toBe('CONFIGURED')

    // The same request by an administrator, signed in on the console, goes out.
    const sent = await fetch(url, { redirect: 'manual', headers: await signedIn('tenant_admin') })
    expect([sent.status, sent.headers.get('location')]).toEqual([302, expect.stringContaining(idp.url)])
  })

  test('is begun by a link once, by whoever opens it first, at its own tenant and connection alone', async () => {
    const id = await newConnection()
    const { value } = (await change('createSsoTestLink(connectionId: $id) { ... on SsoSecret { value } }', { id: gid(id) })) as { value: string }
    const other = await house.tenant()
    const astray = value.replace(`/saml/${tenant.slug}/`, `/saml/${other.slug}/`)
    expect((await new Browser().open(astray)).status).toBe(403)
    expect((await new Browser().open(`${value}x`)).status).toBe(403)

    const browser = new Browser()
    const sent = await browser.open(value)
    expect([sent.status, sent.location]).toEqual([302, expect.stringContaining(idp.url)])
    expect((await new Browser().open(value)).status).toBe(403)
    expect(await stateOf(id)).toBe('CONFIGURED')
    const issuer = `${idp.provider.entityId}/${id}`
    idp.issuer = issuer
    const posted = await browser.press(await browser.open(sent.location!))
    idp.issuer = idp.provider.entityId
    const page = await browser.open(posted.location!)
    expect([page.status, page.body.includes('id="role"')]).toEqual([200, true])
    expect(await stateOf(id)).toBe('TESTED')
    expect((await house.session(browser))['via']).toBeUndefined()
  })

  test('says the role it would give, and where that person would not be let in, that and why; and makes nobody a member', async () => {
    const id = await newConnection()
    const issuer = `${idp.provider.entityId}/${id}`
    const seen = async (nameId: string, settings: string) => {
      await house.at.owner(`update saml.connection set ${settings} where id = $1`, [id])
      const { value } = (await change('createSsoTestLink(connectionId: $id) { ... on SsoSecret { value } }', { id: gid(id) })) as { value: string }
      Object.assign(idp, { issuer, person: { nameId } })
      const browser = new Browser()
      const posted = await browser.press(await browser.follow(value))
      const page = await browser.open(posted.location!)
      idp.issuer = idp.provider.entityId
      const [attempt] = await house.at.owner('select result, role, reason from saml.attempt where connection_id = $1 order by id desc limit 1', [id])
      return [page.status, /id="role">([^<]*)</.exec(page.body)![1], page.body.includes('would not be let in'), attempt!['result'], attempt!['reason']]
    }
    const members = async () => (await house.at.owner('select count(*) n from identity.membership where tenant_id = $1', [tenant.id]))[0]!['n']
    const before = await members()
    const takes = `jit_allowed = true, jit_role = 'caregiver', directory_id = null`
    expect(await seen('new@hospital.example', takes)).toEqual([200, 'caregiver', false, 'TESTED', null])
    expect(await seen(tenant.member.family.email, takes)).toEqual([200, 'caregiver', true, 'TESTED', 'NOT_LINKED'])
    expect(await seen('new@hospital.example', 'directory_id = gen_random_uuid()')).toEqual([200, 'caregiver', true, 'TESTED', 'NO_MEMBERSHIP'])
    expect(await seen('new@hospital.example', 'jit_allowed = false, directory_id = null')).toEqual([200, 'caregiver', true, 'TESTED', 'NO_MEMBERSHIP'])
    expect(await seen('new@hospital.example', 'jit_allowed = true, jit_role = null')).toMatchObject([200, expect.anything(), true, 'TESTED', 'NO_ROLE'])
    expect([await members(), await stateOf(id)]).toEqual([before, 'TESTED'])
  })
})

describe('an answer that waits for its browser', () => {
  /** Back from the provider, with the address at which the browser takes its answer up. */
  const waiting = async (url: string) => {
    const browser = new Browser()
    const posted = await browser.press(await browser.follow(url))
    expect(posted.status).toBe(303)
    return () => browser.open(posted.location!)
  }

  test('is worth nothing once its connection is switched off, or has another provider', async () => {
    const clinic = await house.tenant()
    const id = await house.connect(clinic, idp, { jitRole: 'caregiver' })
    idp.person = { nameId: 'waits@hospital.example' }
    expect((await (await waiting(house.loginUrl(clinic)))()).status).toBe(303)
    for (const change of [`state = 'DISABLED'`, `state = 'ACTIVE', entity_id = 'https://idp.other.example'`]) {
      await house.at.owner(`update saml.connection set state = 'ACTIVE', entity_id = $2 where id = $1`, [id, idp.provider.entityId])
      const takeUp = await waiting(house.loginUrl(clinic))
      await house.at.owner(`update saml.connection set ${change} where id = $1`, [id])
      const page = await takeUp()
      expect([change, page.status, await house.reasonOn(clinic, page)]).toEqual([change, 403, 'UNKNOWN_PROVIDER'])
    }
  })
})

describe('a setup link', () => {
  const linkTo = async (id: string) => ((await change('createSsoSetupLink(connectionId: $id) { ... on SsoSecret { value } }', { id: gid(id) })) as { value: string }).value
  /** Opens a link in a browser of its own, and says how each thing that it does then ends. */
  const open = async (link: string) => {
    const browser = new Browser()
    const act = async (form: Record<string, string>) => {
      const { status, body } = await browser.open(`${house.url}/saml/${tenant.slug}/setup`, { method: 'POST', form })
      return status === 422 ? /role="alert">(.*?)<\/p>/s.exec(body)![1]! : status
    }
    return { opened: await act({ action: 'open', link: new URL(link).searchParams.get('link')! }), act }
  }
  const domain = { action: 'domain', domain: 'a.example' }

  test('takes metadata by its address, which is read as anybody’s may be, and keeps the address for the days to come', async () => {
    const { egress } = house.composed.made['saml'] as ReturnType<typeof buildSaml>
    const id = await newConnection()
    const { act } = await open(await linkTo(id))
    const url = 'https://idp.by-address.example/metadata'
    const asked: object[] = []
    const { get } = egress
    onTestFinished(() => void Object.assign(egress, { get }))
    const answering = (status: number) =>
      Object.assign(egress, {
        get: async (address: string, { vouched, maxBytes, timeoutMs }: EgressOptions) => {
          asked.push({ address, vouched, isBounded: maxBytes <= 1024 * 1024 && timeoutMs <= 10_000 })
          return { status, body: Buffer.from(idp.metadata.replace(idp.provider.entityId, 'https://idp.by-address.example')), etag: '"1"' }
        },
      })
    answering(404)
    expect(await act({ action: 'metadata', url })).toContain('its address answered 404')
    answering(200)
    expect(await act({ action: 'metadata', url })).toBe(303)
    expect(asked).toEqual([1, 2].map(() => ({ address: url, vouched: false, isBounded: true })))
    const kept = await house.at.owner('select entity_id, metadata_url, metadata_vouched, metadata_etag from saml.connection where id = $1', [id])
    expect(kept).toEqual([{ entity_id: 'https://idp.by-address.example', metadata_url: url, metadata_vouched: false, metadata_etag: '"1"' }])
  })

  test('is taken back by the next one, opened or not, and when the connection is switched off', async () => {
    const id = await newConnection()
    const first = await open(await linkTo(id))
    expect([first.opened, await first.act(domain)]).toEqual([303, 303])
    const unopened = await linkTo(id)
    const third = await open(await linkTo(id))
    expect([await first.act(domain), (await open(unopened)).opened, third.opened, await third.act(domain)]).toEqual([403, 403, 303, 303])
    expect(await change('disableSsoConnection(connectionId: $id) { ... on SsoConnection { state } ... on Fault { code } }', { id: gid(id) })).toEqual({ state: 'DISABLED' })
    expect(await third.act(domain)).toBe(403)
    expect(await stateOf(id)).toBe('DISABLED')
  })

  test('puts no other provider, and no other id, beneath a rule that makes administrators, nor beneath people who sign in', async () => {
    const id = await newConnection()
    const { act } = await open(await linkTo(id))
    const other = (name: string) => idp.metadata.replace(idp.provider.entityId, `https://idp.${name}.example/${id}`)
    const give = (name: string) => act({ action: 'metadata', file: other(name) })
    const mapping = (attribute: string) => act({ action: 'mapping', id: attribute })
    const refused = expect.stringContaining('is for an administrator to give')
    expect([await give('first'), await mapping('oid')]).toEqual([303, 303])
    await house.at.owner(
      `insert into saml.rule (tenant_id, connection_id, position, attribute, value, role, authorised_by) values ($1, $2, 0, 'groups', 'it', 'tenant_admin', $3)`,
      [tenant.id, id, tenant.member.tenant_admin.membershipId],
    )
    expect([await give('second'), await mapping('name')]).toEqual([refused, refused])
    await house.at.owner('delete from saml.rule where connection_id = $1', [id])
    expect(await give('third')).toBe(303)
    await house.at.owner(`update saml.connection set activated_at = now(), state = 'DISABLED' where id = $1`, [id])
    expect([await give('fourth'), await mapping('name'), await mapping('oid')]).toEqual([refused, refused, 303])
    expect(await house.at.owner('select entity_id, id_attribute from saml.connection where id = $1', [id])).toEqual([{ entity_id: `https://idp.third.example/${id}`, id_attribute: 'oid' }])
    // An administrator may.
    const configure = 'configureSsoConnection(connectionId: $id, metadata: $xml) { ... on SsoConnection { state } ... on Fault { code } }'
    expect(await change(configure, { id: gid(id), xml: other('fifth') }, '($id: ID!, $xml: String!)')).toEqual({ state: 'CONFIGURED' })
  })
})

test('a tenant has a hundred connections, and no more than are asked whose a domain is', async () => {
  const clinic = await house.tenant()
  const create = () => house.database.unit(operatorCaller(clinic.id)).command((scope) => house.saml.create(scope, { name: 'One more' }), authLogin)
  await house.at.owner(`insert into saml.connection (tenant_id, id, name, state) select $1, gen_random_uuid(), 'Planted', 'DRAFT' from generate_series(1, 99)`, [clinic.id])
  expect(await create()).toMatchObject({ state: 'DRAFT' })
  await expect(create()).rejects.toThrow(expect.objectContaining({ code: 'CONNECTIONS_FULL' }))
})

describe('a directory that is named', () => {
  const urn = 'oid'
  let connectionId: string
  let directoryId: string
  let nurses: string
  let directory: (method: string, path: string, body: unknown) => Promise<Record<string, unknown>>
  /** SCIM brings people in two groups, whose rules an administrator with a second factor has written. */
  beforeAll(async () => {
    connectionId = await house.connect(tenant, idp, { jitRole: 'caregiver', name: 'Directory' })
    const scim = house.composed.made['scim']!.contract as Scim
    const made = await house.database
      .unit(operatorCaller(tenant.id))
      .command((scope) => scim.operatorCreateToken(scope, { connection: 'Directory', name: 'test' }))
    directoryId = made.connectionId
    const admin = tenant.member.tenant_admin
    await house.at.owner(`update identity.session set second_factor_at = now() where tenant_id = $1 and membership_id = $2`, [tenant.id, admin.membershipId])
    const [{ id: sessionId }] = (await house.at.owner('select id from identity.session where membership_id = $1 limit 1', [admin.membershipId])) as [{ id: string }]
    const actor = { ...admin.caller.actor, sessionId } as typeof admin.caller.actor
    await house.database.unit({ ...admin.caller, actor }).command(
      (scope) =>
        scim.setRules(scope, {
          connectionId: directoryId,
          rules: [
            { match: 'DISPLAY_NAME', value: 'Nurses', role: 'clinician' },
            { match: 'DISPLAY_NAME', value: 'Heads', role: 'tenant_admin' },
          ],
        }),
      authLogin,
    )
    directory = async (method, path, body) => {
      const answer = await fetch(`${house.url}/scim/v2${path}`, {
        method,
        headers: { authorization: `Bearer ${made.token}`, 'content-type': 'application/scim+json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await answer.text()
      if (!answer.ok) throw new Error(text)
      return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
    }
    const post = async (path: string, body: unknown) => String((await directory('POST', path, body))['id'])
    const noor = await post('/Users', userBody('noor@hospital.example', { externalId: 'object-noor' }))
    const head = await post('/Users', userBody('head@hospital.example', { externalId: 'object-head' }))
    nurses = await post('/Groups', groupBody('Nurses', [noor]))
    await post('/Groups', groupBody('Heads', [head]))
  })
  const naming = (input: Record<string, unknown>) =>
    change(
      'changeSsoConnection(connectionId: $id, input: $input) { ... on SsoConnection { directoryId isDirectoryConfirmed version } ... on Fault { code } }',
      { id: gid(connectionId), input },
      '($id: ID!, $input: ChangeSsoConnectionInput!)',
    )
  const version = async () => (await house.at.owner<{ version: number }>('select version from saml.connection where id = $1', [connectionId]))[0]!.version
  const enter = async (nameId: string, object: string) => {
    idp.person = { nameId, attributes: { [urn]: [object], mail: [nameId] } }
    const { browser, page } = await house.signInAt(tenant, `?connection=${connectionId}`)
    return page.status === 303 ? house.session(browser) : house.reasonOn(tenant, page)
  }

  test('is one of this tenant’s that has brought somebody', async () => {
    for (const id of ['018f0000-0000-7000-8000-000000000000', connectionId]) {
      expect(await naming({ version: await version(), directoryId: encodeGlobalId('ScimConnection', id) })).toBe('NOT_FOUND')
    }
  })

  test('lets its people in by the immutable id, whatever their address, and nobody by the address alone', async () => {
    expect(await enter('noor@hospital.example', 'object-noor')).toBe('NOT_LINKED')
    // As long as no directory is named, the connection itself brings newcomers.
    expect(await enter('first@hospital.example', 'object-first')).toMatchObject({ email: 'first@hospital.example', role: 'caregiver' })
    const named = await naming({ version: await version(), idAttribute: urn, directoryId: encodeGlobalId('ScimConnection', directoryId) })
    expect(named).toMatchObject({ directoryId: encodeGlobalId('ScimConnection', directoryId), isDirectoryConfirmed: true })
    expect(await enter('noor.married@elsewhere.example', 'object-noor')).toMatchObject({ email: 'noor@hospital.example', role: 'clinician' })
    // The address passed to somebody else: another id, another person.
    expect(await enter('noor@hospital.example', 'object-of-another')).toBe('NO_MEMBERSHIP')
    expect(await enter('second@hospital.example', 'object-of-another')).toBe('NO_MEMBERSHIP')
    const links = await house.at.owner('select source::text from identity.directory_link where tenant_id = $1 and external_id = $2', [tenant.id, 'object-of-another'])
    expect(links).toEqual([])
  })

  test('knows by that id who steps up, whatever name the provider sends this time', async () => {
    const as = (nameId: string, object: string) => {
      idp.person = { nameId, format: 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient', attributes: { [urn]: [object] } }
    }
    as('_passing-1', 'object-noor')
    const { browser } = await house.signInAt(tenant, `?connection=${connectionId}`)
    const stepUp = async () => (await house.signInAt(tenant, '?step-up=1&plane=clinician', browser)).page
    as('_passing-2', 'object-noor')
    expect((await stepUp()).status).toBe(303)
    // The name that she came by, and somebody else behind it.
    as('_passing-1', 'object-head')
    const page = await stepUp()
    expect([page.status, await house.reasonOn(tenant, page)]).toEqual([403, 'OTHER_PERSON'])
  })

  test('lets in at once whom it has made, with no step of anybody between, and shuts her out by its next word', async () => {
    const theirs = await startIdp()
    onTestFinished(() => theirs.close())
    const id = await house.connect(tenant, theirs, { name: 'No newcomers' })
    const naming = { idAttribute: urn, directoryId: encodeGlobalId('ScimConnection', directoryId) }
    const [{ version: read }] = (await house.at.owner('select version from saml.connection where id = $1', [id])) as [{ version: number }]
    await change('changeSsoConnection(connectionId: $id, input: $input) { ... on SsoConnection { id } ... on Fault { code } }', {
      id: gid(id),
      input: { ...naming, version: read },
    }, '($id: ID!, $input: ChangeSsoConnectionInput!)')
    const signIn = async () => {
      theirs.person = { nameId: 'salma@hospital.example', attributes: { [urn]: ['object-salma'], mail: ['salma@hospital.example'] } }
      const { browser, page } = await house.signInAt(tenant, `?connection=${id}`)
      return { browser, is: page.status === 303 ? await house.session(browser) : await house.reasonOn(tenant, page) }
    }
    expect((await signIn()).is).toBe('NO_MEMBERSHIP')
    // A directory makes somebody in these two requests, one after the other.
    const salma = (await directory('POST', '/Users', userBody('salma@hospital.example', { externalId: 'object-salma' })))['id'] as string
    await directory('PATCH', `/Groups/${nurses}`, patchBody({ op: 'Add', path: 'members', value: [{ value: salma }] }))
    const { browser, is } = await signIn()
    expect(is).toMatchObject({ email: 'salma@hospital.example', role: 'clinician', plane: 'clinician', via: 'saml' })
    await directory('PATCH', `/Users/${salma}`, patchBody({ op: 'Replace', path: 'active', value: 'False' }))
    expect(await house.session(browser)).toMatchObject({ error: { code: 'UNAUTHENTICATED' } })
    expect((await signIn()).is).toBe('MEMBER_INACTIVE')
  })

  test('brings its administrators only when an administrator with a second factor has named it', async () => {
    expect(await enter('head@hospital.example', 'object-head')).toMatchObject({ role: 'tenant_admin', plane: 'console' })
    // By the operator, or by a set-up link, the same words open less.
    const asOperator = (given: object) =>
      house.database.unit(operatorCaller(tenant.id)).command(async (scope) => {
        const { version: read } = await house.saml.connection(scope, { connectionId })
        return house.saml.change(scope, { connectionId, version: read, ...given })
      }, authLogin)
    await asOperator({ directoryId: null })
    expect(await asOperator({ directoryId })).toMatchObject({ directoryId, isDirectoryConfirmed: false })
    expect(await enter('head@hospital.example', 'object-head')).toBe('DIRECTORY_UNCONFIRMED')
    expect(await enter('noor@hospital.example', 'object-noor')).toMatchObject({ role: 'clinician' })
  })
})

describe('the command line', () => {
  /** Runs one command in this process and in the house that is open. */
  let typed = ''
  async function saml(...args: string[]): Promise<Record<string, any>> {
    const documents: object[] = []
    const terminal = Object.assign(new Terminal(() => true), { done: (document: object) => void documents.push(document), typed: async () => typed })
    const program = new Command().exitOverride()
    samlCommands(program, terminal, (work) => work(opened))
    await program.parseAsync(['node', 'maristan', 'saml', ...args])
    return documents[0] as Record<string, any>
  }
  const codeOf = (work: Promise<unknown>) => work.then(() => 'done', (error: { code?: string }) => error.code ?? String(error))

  test('takes a connection through every step, up to its enforcement', { timeout: 60_000 }, async () => {
    const clinic = await house.tenant()
    const provider = await startIdp()
    const at = ['--tenant', clinic.slug]
    const made = await saml('create', ...at, '--name', 'Clinic', '--vendor', 'okta')
    expect(made).toMatchObject({ name: 'Clinic', vendor: 'okta', state: 'DRAFT' })
    const on = [...at, '--connection', made['id'] as string]
    expect((await saml('addresses', ...at))['acsUrl']).toBe(`${house.url}/saml/${clinic.slug}/acs`)
    expect((await saml('setup-link', ...on, '--hours', '2'))['url']).toContain('/setup?link=')

    const file = join(house.dataDir, 'metadata.xml')
    writeFileSync(file, provider.metadata)
    expect(await saml('metadata', ...on, '--from', file)).toMatchObject({ state: 'CONFIGURED', entityId: provider.provider.entityId })
    expect(await codeOf(saml('metadata', ...on, '--from', 'https://127.0.0.1/metadata'))).toBe('EGRESS_REFUSED')
    expect(await saml('map', ...on, '--email-attribute', 'mail', '--id-attribute', 'oid', '--newcomers', 'on', '--jit-role', 'caregiver')).toMatchObject({
      emailAttribute: 'mail', idAttribute: 'oid', jitAllowed: true, jitRole: 'caregiver', vendor: 'okta',
    })
    expect(await saml('map', ...on, '--id-attribute', 'none', '--idp-initiated', 'on')).toMatchObject({ idAttribute: null, jitAllowed: true, allowUnsolicited: true })
    expect(await codeOf(saml('rules', ...on, '--rule', 'groups=it=tenant_admin'))).toBe('ROLE_NEEDS_ADMIN')
    expect(await codeOf(saml('rules', ...on, '--rule', 'groups=clinician'))).toBe('INVALID_INPUT')
    const { rules } = await saml('rules', ...on, '--rule', 'groups=cn=doctors,dc=x=clinician', '--rule', 'groups=desk=care_coordinator')
    expect(rules).toEqual([
      { attribute: 'groups', value: 'cn=doctors,dc=x', role: 'clinician' },
      { attribute: 'groups', value: 'desk', role: 'care_coordinator' },
    ])

    const { domains } = await saml('domain', 'add', ...on, '--domain', 'clinic.example')
    expect(domains).toMatchObject([{ domain: 'clinic.example', provenAt: null }])
    expect(await codeOf(saml('domain', 'prove', ...on, '--domain', 'clinic.example'))).toBe('DOMAIN_NOT_PROVEN')
    expect((await saml('domain', 'remove', ...on, '--domain', 'clinic.example'))['domains']).toEqual([])
    const pem = join(house.dataDir, 'next.pem')
    writeFileSync(pem, idp.provider.certificate)
    expect((await saml('stage', ...on, '--pem', pem))['certificates']).toContainEqual(expect.objectContaining({ state: 'STAGED' }))

    expect(await codeOf(saml('activate', ...on))).toBe('INVALID_TRANSITION')
    const { url } = await saml('test-link', ...on)
    const browser = new Browser()
    provider.person = { nameId: 'amal@clinic.example', attributes: { mail: ['amal@clinic.example'], groups: ['desk'] } }
    const posted = await browser.press(await browser.follow(url as string))
    expect((await browser.open(posted.location!)).status).toBe(200)
    const { attempts } = await saml('attempts', ...on)
    expect(attempts).toMatchObject([{ result: 'TESTED', role: 'care_coordinator' }])
    expect((await saml('attempt', attempts[0].id as string, ...at))['result']).toBe('TESTED')
    expect(await saml('activate', ...on)).toMatchObject({ state: 'ACTIVE' })
    expect((await saml('list', ...at))['connections']).toMatchObject([{ id: made['id'], state: 'ACTIVE' }])
    expect(await saml('show', ...on)).toMatchObject({ state: 'ACTIVE', isEnforced: false })

    const { code } = await saml('recovery', 'new', ...on)
    expect(code).toMatch(/^[\w-]{6}(\.[\w-]{6}){3}$/)
    typed = 'another'
    expect(await codeOf(saml('recovery', 'confirm', ...on))).toBe('RECOVERY_REFUSED')
    typed = `${code}\n`
    expect(await saml('recovery', 'confirm', ...on)).toEqual({ connectionId: made['id'], stored: true })
    expect(await codeOf(saml('enforce', ...on))).toBe('ENFORCEMENT_TOO_SOON')
    expect(await codeOf(saml('relax', ...on))).toBe('INVALID_TRANSITION')
    // Two administrators come in through it, as the rules that one of them would have written have it.
    await house.at.owner(
      `insert into saml.rule (tenant_id, connection_id, position, attribute, value, role, authorised_by) values ($1, $2, 9, 'groups', 'it', 'tenant_admin', $3)`,
      [clinic.id, made['id'], clinic.member.tenant_admin.membershipId],
    )
    for (const nameId of ['one@clinic.example', 'two@clinic.example']) {
      provider.person = { nameId, attributes: { mail: [nameId], groups: ['it'] } }
      expect(await house.session((await house.signInAt(clinic)).browser)).toMatchObject({ role: 'tenant_admin', via: 'saml' })
    }
    expect(await codeOf(saml('enforce', ...on))).toBe('TENANT_APPROVAL_NEEDED')
    await approve(clinic)
    expect(await saml('enforce', ...on)).toMatchObject({ state: 'ENFORCED', isEnforced: true })
    expect(await saml('relax', ...on)).toMatchObject({ state: 'ACTIVE', isEnforced: false })
    expect(await saml('disable', ...on)).toMatchObject({ state: 'DISABLED' })
    const trail = await house.at.owner<{ kinds: string[] }>(
      "select array_agg(distinct actor_kind) as kinds from audit.event where tenant_id = $1 and action like 'saml.%' and actor_kind <> 'anonymous'",
      [clinic.id],
    )
    expect(trail[0]!.kinds).toEqual(['operator'])
    await provider.close()
  })

  test('waits for the tenant’s approval once an administrator has signed in', { timeout: 30_000 }, async () => {
    const clinic = await house.tenant()
    const at = ['--tenant', clinic.slug]
    const { id } = await saml('create', ...at, '--name', 'Clinic')
    await house.signIn(clinic, 'tenant_admin')
    const on = [...at, '--connection', id as string]
    for (const step of [
      ['create', ...at, '--name', 'Another'],
      ['list', ...at],
      ['show', ...on],
      ['map', ...on, '--name', 'Ours'],
      ['setup-link', ...on],
      ['test-link', ...on],
      ['rules', ...on, '--clear'],
      ['recovery', 'new', ...on],
      ['disable', ...on],
    ]) expect([step[0], await codeOf(saml(...step))]).toEqual([step[0], 'TENANT_APPROVAL_NEEDED'])
    await approve(clinic)
    expect(await saml('map', ...on, '--name', 'Ours')).toMatchObject({ name: 'Ours' })
  })
})
