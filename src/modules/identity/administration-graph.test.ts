/** Identity's administration through the graph: which planes have it, what a stranger's id finds, and what a page holds. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId } from '../../kernel/id.ts'
import { planes, type Plane } from '../../kernel/scope.ts'
import { encodeGlobalId } from '../../platform/graphql/global-id.ts'
import { permissionsOf, planesOf, roles, scopeOf } from '../access/contract.ts'
import { administrationRig, password, type Answer, type Person, type Rig, type Tenant } from '../../../test/kit/administration.ts'
import { totpCode, totpStep } from './credentials/totp.ts'

let rig: Rig
let cedar: Tenant
let zaytuna: Tenant
let invitationOf: Map<Tenant, string>
let tokenOf: Map<Tenant, string>

const invite = (tenant: Tenant, by: Person, input: Parameters<Rig['contract']['inviteMember']>[1]) =>
  rig.act(by.caller, (scope) => rig.contract.inviteMember(scope, input))

beforeAll(async () => {
  rig = await administrationRig()
  cedar = await rig.tenant()
  zaytuna = await rig.tenant()
  invitationOf = new Map()
  tokenOf = new Map()
  for (const tenant of [cedar, zaytuna]) {
    const { id } = await invite(tenant, tenant.of.tenant_admin, { email: `i@${tenant.slug}.test`, role: 'clinician' })
    invitationOf.set(tenant, id)
    const token = await rig.act(tenant.of.tenant_admin.caller, (scope) =>
      rig.contract.createApiToken(scope, { name: tenant.slug, permissions: ['tenant:read'] }),
    )
    tokenOf.set(tenant, token.id)
  }
})
afterAll(() => rig.close())

describe('the planes', () => {
  const people: Plane[] = ['console', 'clinician', 'consumer', 'courier', 'seller']
  const inviters: Plane[] = ['console', 'consumer', 'seller']
  const fields: Record<string, readonly Plane[]> = {
    'Query.members': planesOf('user:read'),
    'Query.member': planesOf('user:read'),
    'Query.invitations': inviters,
    'Query.apiTokens': ['console'],
    'Mutation.inviteMember': inviters,
    'Mutation.resendInvitation': inviters,
    'Mutation.revokeInvitation': inviters,
    'Mutation.acceptInvitation': people,
    'Mutation.updateMember': planesOf('user:update'),
    'Mutation.deactivateMember': planesOf('user:deactivate'),
    'Mutation.suspendMember': planesOf('user:deactivate'),
    'Mutation.resumeMember': planesOf('user:deactivate'),
    'Mutation.assignRole': ['console'],
    'Mutation.enrolTotp': people,
    'Mutation.confirmTotp': people,
    'Mutation.regenerateRecoveryCodes': people,
    'Mutation.removeTotp': people,
    'Mutation.createApiToken': ['console'],
    'Mutation.revokeApiToken': ['console'],
    'Membership.version': planesOf('user:read'),
  }

  it.each(Object.entries(fields))('%s exists where it may be used, and nowhere else', (name, where) => {
    const [type, field] = name.split('.') as [string, string]
    const found = planes.filter((plane) => {
      const schema = rig.composed.schemas.plane[plane]
      const object = schema.getType(type) as { getFields(): Record<string, unknown> } | undefined
      return object && field in object.getFields()
    })
    expect(found.toSorted()).toEqual([...where].toSorted())
  })

  it('no plane shows a hash, a secret at rest or a tenant', () => {
    for (const plane of planes) {
      for (const type of Object.values(rig.composed.schemas.plane[plane].getTypeMap())) {
        if (!['Membership', 'Invitation', 'ApiToken', 'Identity'].includes(type.name)) continue
        const names = Object.keys((type as unknown as { getFields(): object }).getFields())
        expect(names.filter((name) => /hash|secret|tenant|token/i.test(name))).toEqual([])
      }
    }
  })
})

describe('members', () => {
  const list = `query ($first: Int, $after: String, $role: Role, $plane: String) {
    members(first: $first, after: $after, role: $role, plane: $plane) {
      edges { cursor node { id role identity { email } } }
      pageInfo { hasNextPage endCursor }
    }
  }`
  interface Listed {
    members: {
      edges: { cursor: string; node: { id: string; role: string; identity: { email: string } } }[]
      pageInfo: { hasNextPage: boolean; endCursor: string | null }
    }
  }

  it.each(roles)('a %s sees those whom its reach covers, and nobody of another tenant', async (role) => {
    const by = cedar.of[role]
    const letter = scopeOf(role, 'user:read')
    const { data, codes } = await rig.ask<Listed>(by.caller, list, { first: 100 })
    if (letter === null) {
      expect(codes).not.toEqual([])
      return
    }
    expect(codes).toEqual([])
    const emails = data!.members.edges.map(({ node }) => node.identity.email)
    expect(emails.filter((email) => !email.endsWith(`@${cedar.slug}.test`))).toEqual([])
    if (letter === 'T') expect(emails).toEqual(expect.arrayContaining(roles.map((one) => cedar.of[one].email)))
    else expect(emails).toEqual([by.email])
  })

  it('come page by page, each once, and by filter', async () => {
    const by = cedar.of.tenant_admin.caller
    const seen: string[] = []
    let after: string | null = null
    do {
      const answer: Answer<Listed> = await rig.ask(by, list, { first: 3, after })
      const { edges, pageInfo }: Listed['members'] = answer.data!.members
      expect(edges.length).toBeLessThanOrEqual(3)
      for (const { cursor, node } of edges) {
        expect(Buffer.from(cursor, 'base64url').toString('hex')).not.toContain(cedar.id.replaceAll('-', ''))
        seen.push(node.id)
      }
      after = pageInfo.hasNextPage ? pageInfo.endCursor : null
    } while (after)
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen.length).toBeGreaterThanOrEqual(roles.length)
    const clinicians = await rig.ask<Listed>(by, list, { role: 'clinician' })
    expect(new Set(clinicians.data!.members.edges.map(({ node }) => node.role))).toEqual(new Set(['clinician']))
    const nobody = await rig.ask<Listed>(by, list, { plane: '\u202e\'--' })
    expect(nobody.data!.members.edges).toEqual([])
  })
})

describe('a stranger\'s id', () => {
  const malformed = ['', 'x', encodeGlobalId('Membership', 'x'), '💥', 'a'.repeat(1_000)]
  const memberOf = (tenant: Tenant) => encodeGlobalId('Membership', tenant.of.caregiver.membershipId)
  const mutations: [string, (id: string) => string, (tenant: Tenant) => string][] = [
    ['deactivateMember', (id) => `deactivateMember(id: ${id})`, memberOf],
    ['suspendMember', (id) => `suspendMember(id: ${id})`, memberOf],
    ['resumeMember', (id) => `resumeMember(id: ${id})`, memberOf],
    ['updateMember', (id) => `updateMember(input: { id: ${id}, version: 1, locale: en })`, memberOf],
    ['assignRole', (id) => `assignRole(membershipId: ${id}, role: clinician)`, memberOf],
    ['resendInvitation', (id) => `resendInvitation(id: ${id})`, (tenant) => encodeGlobalId('Invitation', invitationOf.get(tenant)!)],
    ['revokeInvitation', (id) => `revokeInvitation(id: ${id})`, (tenant) => encodeGlobalId('Invitation', invitationOf.get(tenant)!)],
    ['revokeApiToken', (id) => `revokeApiToken(id: ${id})`, (tenant) => encodeGlobalId('ApiToken', tokenOf.get(tenant)!)],
  ]
  const admin = () => cedar.of.tenant_admin.caller
  const attempt = async (name: string, write: (id: string) => string, id: string): Promise<string> => {
    const { data, codes } = await rig.ask(admin(), `mutation { ${write(JSON.stringify(id))} { __typename ... on Fault { code } } }`)
    const answer = data?.[name]
    return String(answer?.['code'] ?? codes[0] ?? answer?.['__typename'])
  }

  it.each(mutations)('%s finds nothing under it, nor under a malformed one or one of another type', async (name, write, idOf) => {
    expect(await attempt(name, write, idOf(zaytuna))).toBe('NOT_FOUND')
    for (const id of malformed) expect(await attempt(name, write, id), id.slice(0, 20)).toBe('NOT_FOUND')
    expect(await attempt(name, write, encodeGlobalId('Tenant', cedar.id))).toBe('NOT_FOUND')
    expect(await attempt(name, write, idOf(cedar))).not.toBe('NOT_FOUND')
  })

  it('and node find nothing; one\'s own finds its row', async () => {
    const node = async (id: string) => (await rig.ask(admin(), 'query ($id: ID!) { node(id: $id) { __typename id } }', { id })).data!.node
    for (const [, , idOf] of mutations) {
      expect(await node(idOf(zaytuna))).toBeNull()
      expect(await node(idOf(cedar))).toMatchObject({ id: idOf(cedar) })
    }
    const id = encodeGlobalId('Membership', zaytuna.of.clinician.membershipId)
    const { data, codes } = await rig.ask(admin(), 'query ($id: ID!) { member(id: $id) { id } }', { id })
    expect([data!.member, codes]).toEqual([null, ['NOT_FOUND']])
  })

  it('as the recipient or organisation of an invitation finds nothing either', async () => {
    const send = async (by: Person, more: string) => {
      const source = `mutation { inviteMember(input: { email: "n@example.org", ${more} }) { __typename ... on Fault { code } } }`
      return (await rig.ask(by.caller, source)).data!['inviteMember']
    }
    const foreign = encodeGlobalId('CareRecipient', newId())
    expect(await send(cedar.of.care_coordinator, `role: family, recipientId: "${foreign}"`)).toMatchObject({ code: 'NOT_FOUND' })
    expect(await send(cedar.of.care_coordinator, 'role: family, recipientId: "nonsense"')).toMatchObject({ code: 'NOT_FOUND' })
    const org = encodeGlobalId('ProviderOrg', newId())
    expect(await send(cedar.of.provider_manager, `role: provider_manager, providerOrgId: "${org}"`)).toMatchObject({ code: 'NOT_FOUND' })
    expect(await send(cedar.of.provider_manager, 'role: provider_manager')).toMatchObject({ __typename: 'Invitation' })
  })
})

describe('from end to end', () => {
  it('a person is invited, accepts, enrols a second factor, and is deactivated', async () => {
    const admin = cedar.of.tenant_admin.caller
    const email = `Wafaa.${newId().slice(-8)}@Example.Org`
    const invited = await rig.ask(
      admin,
      'mutation ($input: InviteMemberInput!) { inviteMember(input: $input) { __typename ... on Invitation { id email state role } } }',
      { input: { email, role: 'clinician', locale: 'ar' } },
    )
    expect(invited.data!.inviteMember).toMatchObject({ email: email.toLowerCase(), state: 'SENT', role: 'clinician' })
    const [letter] = rig.letters().filter(({ to }) => to === email.toLowerCase())
    const accepted = await rig.ask(
      { ...rig.nobody(cedar.id), plane: 'clinician' },
      `mutation ($token: String!, $password: String!) {
        acceptInvitation(token: $token, password: $password) { ... on AcceptedInvitation { membershipId plane } ... on Fault { code } }
      }`,
      { token: letter!.tokens[0], password },
    )
    expect(accepted.data!.acceptInvitation).toMatchObject({ plane: 'clinician' })
    const membershipId = accepted.data!.acceptInvitation?.['membershipId']
    const [row] = await rig.owner('select * from identity.membership where tenant_id = $1 order by id desc limit 1', [cedar.id])
    const me = {
      ...cedar.of.clinician.caller,
      actor: { ...cedar.of.clinician.caller.actor, membershipId: row!.id, identityId: row!.identity_id } as Person['caller']['actor'],
      permissions: permissionsOf('clinician'),
    }
    const enrolled = await rig.ask(me, 'mutation { enrolTotp { ... on TotpEnrolment { secret otpauthUri } ... on Fault { code } } }')
    const code = totpCode({ secret: String(enrolled.data!.enrolTotp?.['secret']), step: totpStep(rig.clock.at) })
    const confirmed = await rig.ask(
      me,
      'mutation ($code: String!) { confirmTotp(code: $code) { ... on RecoveryCodes { recoveryCodes } ... on Fault { code } } }',
      { code },
    )
    expect(confirmed.data!.confirmTotp?.['recoveryCodes']).toHaveLength(10)
    const gone = await rig.ask(
      admin,
      'mutation ($id: ID!) { deactivateMember(id: $id) { ... on Membership { status identity { email } } ... on Fault { code } } }',
      { id: membershipId },
    )
    expect(gone.data!.deactivateMember).toEqual({ status: 'ENDED', identity: { email: email.toLowerCase() } })
  })

  it('a token is shown once, then listed without its secret', async () => {
    const admin = cedar.of.tenant_admin.caller
    const made = await rig.ask(
      admin,
      `mutation ($input: CreateApiTokenInput!) {
        createApiToken(input: $input) { ... on CreatedApiToken { token apiToken { id name permissions } } ... on Fault { code } }
      }`,
      { input: { name: 'board', permissions: ['tenant:read'], expiresAt: '2999-01-01T00:00:00Z' } },
    )
    const apiToken = { name: 'board', permissions: ['tenant:read'] }
    expect(made.data!.createApiToken).toMatchObject({ token: expect.stringMatching(/^mst_/), apiToken })
    const refused = await rig.ask(
      admin,
      'mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { ... on DeniedFault { code message } } }',
      { input: { name: 'board', permissions: ['phi:read'] } },
    )
    expect(refused.data!.createApiToken).toEqual({ code: 'TOKEN_PERMISSION_REFUSED', message: 'A token of yours may not carry phi:read.' })
  })

  it('a refusal is in the audit trail', async () => {
    const { caller, membershipId } = cedar.of.compliance_officer
    const { data } = await rig.ask(caller, 'mutation { assignRole(membershipId: "x", role: clinician) { ... on Fault { code } } }')
    expect(data!.assignRole).toEqual({ code: 'FORBIDDEN' })
    expect(await rig.audited(cedar.id, 'access.denied')).toContainEqual(
      expect.objectContaining({ actor_id: membershipId, detail: { field: 'assignRole', permission: 'role:assign' } }),
    )
  })
})
