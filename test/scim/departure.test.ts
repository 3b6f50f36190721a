/**
 * The moment a directory says that somebody is gone, as those see it who hold something: a browser, a program with a refresh token, a stream
 * that is open, an integration; and as the IT administrator reads it afterwards.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Identity } from '../../src/modules/identity/contract.ts'
import { operatorCaller } from '../../src/operator/operator-scope.ts'
import { encodeGlobalId } from '../../src/platform/graphql/global-id.ts'
import { withClient } from '../../src/platform/db/provision.ts'
import { authLogin } from '../../src/platform/module.ts'
import { password, type Asking, type TestMember, type TestTenant } from '../kit/house.ts'
import { groupBody, patchBody, scimRig, userBody, type Directory, type ScimAnswer, type ScimRig } from '../kit/scim.ts'
import { subscribe } from '../kit/stream.ts'

let rig: ScimRig
beforeAll(async () => {
  rig = await scimRig()
})
afterAll(() => rig.close())

const owner = <Row extends object>(sql: string, values: unknown[] = []) => rig.house.at.owner<Row & Record<string, unknown>>(sql, values)
const shut = (directory: Directory, user: string) =>
  directory.ask('PATCH', `/Users/${user}`, patchBody({ op: 'Replace', path: 'active', value: 'False' }))

/** A user of the directory that an administrator linked to a member who was there before. */
async function linked(directory: Directory, { email, membershipId }: TestMember): Promise<string> {
  const userId = (await directory.ask('POST', '/Users', userBody(email))).body['id'] as string
  const unit = rig.house.database.unit(directory.tenant.member.tenant_admin.caller)
  await unit.command((scope) => rig.scim.linkUser(scope, { userId, membershipId }), authLogin)
  return userId
}

async function signedIn(tenant: TestTenant, { plane, email }: Pick<TestMember, 'plane' | 'email'>, secret = password) {
  const reply = await rig.house.ask<{ signIn: { accessToken: string; refreshToken: string } }>(
    { plane, tenant: tenant.slug },
    'mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignedIn { accessToken refreshToken } } }',
    { input: { email, password: secret } },
  )
  return reply.data!.signIn
}
const refreshed = async (asking: Asking, refreshToken: string) => {
  const reply = await rig.house.ask<{ refreshSession: { refreshToken?: string; code?: string } }>(
    asking,
    'mutation ($token: String!) { refreshSession(refreshToken: $token) { ... on SignedIn { refreshToken } ... on Fault { code } } }',
    { token: refreshToken },
  )
  return reply.data?.refreshSession.refreshToken ?? reply.data?.refreshSession.code ?? reply.errors[0]!.extensions.code
}

test('a member who was linked loses session, refresh family and open stream by one PATCH, and the receipt tells it', async () => {
  const tenant = await rig.house.tenant()
  const entra = await rig.directory(tenant)
  const { clinician, care_coordinator: coordinator } = tenant.member
  const user = await linked(entra, clinician)
  const { accessToken, refreshToken } = await signedIn(tenant, clinician)
  const staying = await signedIn(tenant, coordinator)
  const bearer: Asking = { plane: 'clinician', bearer: accessToken }
  const at: Asking = { plane: 'clinician', tenant: tenant.slug }
  const next = await refreshed(at, refreshToken)
  expect(next).toMatch(/^d\./)
  const document = 'subscription { viewerChanges { email } }'
  const stream = await subscribe<{ viewerChanges: { email: string } }>(rig.house, bearer, document)
  const other = await subscribe<{ viewerChanges: { email: string } }>(rig.house, { plane: 'console', bearer: staying.accessToken }, document)
  expect((await stream.next())!.data!.viewerChanges.email).toBe(clinician.email)
  expect((await other.next())!.data!.viewerChanges.email).toBe(coordinator.email)

  expect((await shut(entra, user)).status).toBe(200)
  const last = (await stream.next())!
  expect([last.data, last.errors[0]!.extensions.code]).toEqual([null, 'SESSION_ENDED'])
  expect(await stream.next()).toBeNull()
  expect((await rig.house.ask(bearer, '{ viewer { email } }')).errors[0]!.extensions.code).toBe('SESSION_ENDED')
  expect(await refreshed(at, next!)).toBe('SESSION_ENDED')
  // Beside her, somebody whom the directory did not name goes on.
  expect((await rig.house.ask({ plane: 'console', bearer: staying.accessToken }, '{ viewer { email } }')).errors).toEqual([])
  other.leave()

  const admin = await rig.house.signIn(tenant, 'tenant_admin')
  const receipts = await rig.house.ask<{ scimReceipts: Record<string, unknown>[] }>(
    { plane: 'console', bearer: admin },
    'query ($id: ID!) { scimReceipts(connectionId: $id) { at userName cause sessions invitations flaggedTokens wasLastAdmin } }',
    { id: encodeGlobalId('ScimConnection', entra.connectionId) },
  )
  expect(receipts.data!.scimReceipts).toEqual([
    { at: expect.any(String), userName: clinician.email, cause: 'DEACTIVATED', sessions: 1, invitations: 0, flaggedTokens: 0, wasLastAdmin: false },
  ])
  // What ended and the receipt are of one moment: one transaction.
  const [cut] = await owner('select revoked_at, revoked_reason from identity.session where membership_id = $1', [clinician.membershipId])
  const [receipt] = await owner('select at from scim.receipt where user_id = $1', [user])
  expect(Math.abs((cut!['revoked_at'] as Date).getTime() - (receipt!['at'] as Date).getTime())).toBeLessThan(15_000)
})

test('where the receipt cannot be written nothing is cut, and the directory is told to try again', async () => {
  const tenant = await rig.house.tenant()
  const entra = await rig.directory(tenant)
  const user = await linked(entra, tenant.member.clinician)
  const { accessToken } = await signedIn(tenant, tenant.member.clinician)
  const viewer = () => rig.house.ask({ plane: 'clinician', bearer: accessToken }, '{ viewer { email } }')
  await owner(`alter table scim.receipt add constraint broken check (tenant_id <> '${tenant.id}') not valid`)
  expect((await shut(entra, user)).status).toBe(500)
  expect((await entra.ask('GET', `/Users/${user}`)).body['active']).toBe(true)
  expect((await viewer()).errors).toEqual([])
  await owner('alter table scim.receipt drop constraint broken')
  expect((await shut(entra, user)).status).toBe(200)
  expect((await viewer()).errors[0]!.extensions.code).toBe('SESSION_ENDED')
})

describe('the last administrator', () => {
  test('is cut as well: it is told, her integration works on and is flagged, and the operator makes another', async () => {
    const tenant = await rig.house.tenant()
    const entra = await rig.directory(tenant)
    const { tenant_admin: admin } = tenant.member
    const mine: Asking = { plane: 'console', bearer: (await signedIn(tenant, admin)).accessToken }
    const made = await rig.house.ask<{ createApiToken: { token: string } }>(
      mine,
      'mutation { createApiToken(input: { name: "Payroll", permissions: ["tenant:read"] }) { ... on CreatedApiToken { token } } }',
    )
    const program = async () => {
      const response = await fetch(`${rig.house.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${made.data!.createApiToken.token}` },
        body: '{"query":"{ tenantSettings { slug } }"}',
      })
      return ((await response.json()) as { data: unknown }).data
    }
    expect(await program()).toEqual({ tenantSettings: { slug: tenant.slug } })
    const user = await linked(entra, admin)
    // The console refuses what the directory may do.
    const refused = await rig.house.ask<{ deactivateMember: { code: string } }>(
      mine,
      'mutation ($id: ID!) { deactivateMember(id: $id) { ... on Fault { code } } }',
      { id: encodeGlobalId('Membership', admin.membershipId) },
    )
    expect(refused.data!.deactivateMember.code).toBe('LAST_ADMIN')

    expect((await shut(entra, user)).status).toBe(200)
    expect((await rig.house.ask(mine, '{ viewer { email } }')).errors[0]!.extensions.code).toBe('SESSION_ENDED')
    expect(await owner('select sessions, flagged_tokens, was_last_admin from scim.receipt where user_id = $1', [user])).toEqual([
      { sessions: 1, flagged_tokens: 1, was_last_admin: true },
    ])
    const alert = "select payload from outbox.event where tenant_id = $1 and name = 'identity.directory.last_admin_cut'"
    expect(await owner(alert, [tenant.id])).toEqual([{ payload: { membershipId: admin.membershipId, connectionId: entra.connectionId } }])
    expect(await program()).toEqual({ tenantSettings: { slug: tenant.slug } })

    const identity = rig.house.composed.made['identity']!.contract as Identity
    const rescue = { email: 'rescue@example.org', password: 'a rescuing password, long' }
    await rig.house.database.unit(operatorCaller(tenant.id)).command((scope) => identity.recoverAdmin(scope, rescue))
    const rescuer: Asking = { plane: 'console', bearer: (await signedIn(tenant, { plane: 'console', email: rescue.email }, rescue.password)).accessToken }
    const tokens = async () =>
      (await rig.house.ask<{ apiTokens: { edges: { node: object }[] } }>(rescuer, '{ apiTokens { edges { node { name creatorLeft flaggedAt } } } }')).data!
        .apiTokens.edges.map(({ node }) => node)
    const flagged = { name: 'Payroll', creatorLeft: true, flaggedAt: expect.any(String) }
    expect(await tokens()).toEqual([flagged])
    // She comes back; what was flagged stays so until somebody has looked.
    await owner("update scim.connection set flagged_at = null where id = $1", [entra.connectionId])
    await entra.ask('PATCH', `/Users/${user}`, patchBody({ op: 'replace', value: { active: true } }))
    expect(await tokens()).toMatchObject([{ flaggedAt: expect.any(String) }])
  })
})

test('two groups of the same people, changed at once from both ends, wait for each other and never lock each other out', async () => {
  const tenant = await rig.house.tenant()
  const entra = await rig.directory(tenant)
  await rig.rules(entra, [
    { match: 'DISPLAY_NAME', value: 'A', role: 'clinician' },
    { match: 'DISPLAY_NAME', value: 'B', role: 'caregiver' },
  ])
  const people: string[] = []
  for (let k = 0; k < 6; k++) people.push((await entra.ask('POST', '/Users', userBody(`lock${k}@example.org`))).body['id'] as string)
  const groups: string[] = []
  for (const name of ['A', 'B']) groups.push((await entra.ask('POST', '/Groups', groupBody(name, people))).body['id'] as string)
  const change = (n: number) => {
    const value = (n % 2 === 0 ? people : people.toReversed()).map((one) => ({ value: one }))
    return entra.ask('PATCH', `/Groups/${groups[n % 2]}`, patchBody({ op: n % 4 < 2 ? 'remove' : 'add', path: 'members', value }))
  }
  const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => change(n)))
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 204))
  // Whatever came last, roles are what the groups say.
  const rows = await owner(
    `select m.status::text as status, m.role, (select min(g.display_name) from scim.group_member x join scim."group" g on g.id = x.group_id
       where x.user_id = u.id) as first
     from scim."user" u join identity.membership m on m.id = u.membership_id where u.connection_id = $1`,
    [entra.connectionId],
  )
  expect(rows).toHaveLength(people.length)
  const means: Readonly<Record<string, string>> = { A: 'clinician', B: 'caregiver' }
  for (const { status, role, first } of rows) {
    if (first === null) expect(status).toBe('SUSPENDED')
    else expect([status, role]).toEqual(['ACTIVE', means[String(first)]])
  }
})

describe('changes that meet', () => {
  /** Holds a row, as a command that is not over, until every request waits for it; then lets go and answers what they came to. */
  const whileHeld = (table: 'user' | 'group', id: string, send: () => readonly Promise<ScimAnswer>[]): Promise<number[]> =>
    withClient(rig.house.at.ownerUrl, async (client) => {
      const waiting = `select from pg_stat_activity where datname = current_database() and usename = 'maristan_directory' and wait_event_type = 'Lock'`
      await client.query('begin')
      await client.query(`select from scim."${table}" where id = $1 for no key update`, [id])
      const answers = send()
      let answered = 0
      for (const one of answers) void one.then(() => answered++)
      while (answered === 0 && (await owner(waiting)).length < answers.length);
      expect(answered).toBe(0)
      await client.query('commit')
      return (await Promise.all(answers)).map(({ status }) => status)
    })

  test('over one person wait for each other, and the last one sees what the first has left', async () => {
    const entra = await rig.directory(await rig.house.tenant())
    await rig.rules(entra, [
      { match: 'DISPLAY_NAME', value: 'A', role: 'clinician' },
      { match: 'DISPLAY_NAME', value: 'B', role: 'caregiver' },
    ])
    const person = (await entra.ask('POST', '/Users', userBody('met@example.org'))).body['id'] as string
    const groups: string[] = []
    for (const name of ['A', 'B']) groups.push((await entra.ask('POST', '/Groups', groupBody(name, [person]))).body['id'] as string)
    const status = async () => (await owner('select m.status::text as status from identity.membership m join scim."user" u on u.membership_id = m.id where u.id = $1', [person]))[0]
    expect(await status()).toEqual({ status: 'ACTIVE' })
    const leave = patchBody({ op: 'remove', path: 'members', value: [{ value: person }] })
    expect(await whileHeld('user', person, () => groups.map((id) => entra.ask('PATCH', `/Groups/${id}`, leave)))).toEqual([204, 204])
    // Each took one of two groups. Whoever had looked before waiting would have given the role of the other.
    expect(await status()).toEqual({ status: 'SUSPENDED' })
  })

  test.each([
    ['group', '/Groups', groupBody('Ward'), 204],
    ['user', '/Users', userBody('twice@example.org'), 200],
  ] as const)('over one %s wait for each other, and neither takes back what the other has done', async (table, at, made, status) => {
    const entra = await rig.directory(await rig.house.tenant())
    const path = `${at}/${(await entra.ask('POST', at, made)).body['id']}`
    const replace = (name: string, value: string) => entra.ask('PATCH', path, patchBody({ op: 'replace', path: name, value }))
    const both = () => [replace('displayName', 'Seven'), replace('externalId', 'w-7')]
    expect(await whileHeld(table, path.split('/').at(-1)!, both)).toEqual([status, status])
    const { body } = await entra.ask('GET', path)
    expect([body['displayName'], body['externalId'], body['meta'].version]).toEqual(['Seven', 'w-7', 'W/"3"'])
  })
})

test('a rule by external id holds whatever the group is called', async () => {
  const entra = await rig.directory(await rig.house.tenant())
  await rig.rules(entra, [{ match: 'EXTERNAL_ID', value: 'object-7', role: 'clinician' }])
  const person = (await entra.ask('POST', '/Users', userBody('renamed-group@example.org'))).body['id'] as string
  const { id } = (await entra.ask('POST', '/Groups', { ...groupBody('Ward', [person]), externalId: 'object-7' })).body
  const role = async () => (await owner('select m.role, m.status::text as status from identity.membership m join scim."user" u on u.membership_id = m.id where u.id = $1', [person]))[0]
  expect(await role()).toEqual({ role: 'clinician', status: 'ACTIVE' })
  await entra.ask('PATCH', `/Groups/${id}`, patchBody({ op: 'replace', path: 'displayName', value: 'Ward 7' }))
  expect(await role()).toEqual({ role: 'clinician', status: 'ACTIVE' })
  await entra.ask('PATCH', `/Groups/${id}`, patchBody({ op: 'replace', path: 'externalId', value: 'OBJECT-7' }))
  expect(await role()).toEqual({ role: 'clinician', status: 'SUSPENDED' })
})
