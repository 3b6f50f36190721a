/** Directories on a real database: they provision, change and cut their own members, on their planes, whatever else they try. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId } from '../../kernel/id.ts'
import type { Caller, Scope } from '../../kernel/scope.ts'
import { administrationRig, codeOf, type Person, type Rig, type Tenant } from '../../../test/kit/administration.ts'
import type { Role } from '../access/contract.ts'
import type { directoryRoles } from './contract-directory.ts'

type DirectoryRole = (typeof directoryRoles)[number]

type Connection = Caller & { readonly here: { source: 'SCIM'; connectionId: string } }

let rig: Rig
let cedar: Tenant
let olive: Tenant
beforeAll(async () => {
  rig = await administrationRig()
  cedar = await rig.tenant()
  olive = await rig.tenant()
})
afterAll(() => rig.close())

const source = 'SCIM' as const
const address = () => `d${newId().slice(-12)}@example.org`
const connection = (tenant: Tenant): Connection => {
  const connectionId = newId()
  return { ...rig.nobody(tenant.id), plane: null, actor: { kind: 'directory', source, connectionId }, here: { source, connectionId } }
}
const run = <Result>(who: Caller, work: (scope: Scope) => Promise<Result>) => rig.operate(who, work)
const status = async (membershipId: string) =>
  (await rig.owner('select status::text, role, plane, version from identity.membership where id = $1', [membershipId]))[0]!

const provision = (who: Connection, role: DirectoryRole = 'clinician', email = address(), externalId: string | null = null) =>
  run(who, (scope) => rig.contract.provisionMember(scope, { ...who.here, email, externalId, role, authorisedBy: newId() }))

describe('provisioning', () => {
  it('makes an active member and the link, on the plane of the role, traced with the connection as actor', async () => {
    const entra = connection(cedar)
    const email = address()
    const made = await provision(entra, 'caregiver', email.toUpperCase(), 'a-1')
    expect(made.isNewAccount).toBe(true)
    expect(await status(made.membershipId)).toMatchObject({ status: 'ACTIVE', role: 'caregiver', plane: 'courier' })
    const { membershipId, identityId } = made
    const { connectionId } = entra.here
    const link = await rig.call(entra, (scope) => rig.contract.findLink(scope, { connectionId, externalId: 'a-1' }))
    expect(link).toMatchObject({ membershipId, identityId, ...entra.here, origin: 'PROVISIONED', email, status: 'ACTIVE', cutAt: null })
    const [trace] = (await rig.audited(cedar.id, 'member.directory_provisioned')).filter((one) => one['resource_id'] === made.membershipId)
    expect(trace).toMatchObject({ actor_kind: 'directory', actor_id: entra.here.connectionId })
  })

  it('gives the person of an address one more membership and changes nothing else of them', async () => {
    const entra = connection(cedar)
    const relative = cedar.of.family
    const made = await provision(entra, 'clinician', relative.email)
    expect(made).toMatchObject({ identityId: relative.identityId, isNewAccount: false })
    expect(await status(relative.membershipId)).toMatchObject({ status: 'ACTIVE', plane: 'consumer' })
  })

  it('refuses a role that the person holds without a link, and the roles of the consumer and seller planes', async () => {
    const entra = connection(cedar)
    expect(await codeOf(provision(entra, 'clinician', cedar.of.clinician.email))).toBe('ALREADY_MEMBER')
    for (const role of ['family', 'provider_manager'] as Role[]) {
      expect(await codeOf(provision(entra, role as DirectoryRole))).toBe('INVALID_INPUT')
    }
    expect(await codeOf(provision(entra, 'clinician'))).toBe('done')
  })

  it('makes a privileged role only where somebody decided it', async () => {
    const entra = connection(cedar)
    for (const role of ['tenant_admin', 'compliance_officer'] as const) {
      const attempt = run(entra, (scope) => rig.contract.provisionMember(scope, { ...entra.here, email: address(), role }))
      expect(await codeOf(attempt)).toBe('DIRECTORY_ROLE_REFUSED')
      expect(await codeOf(provision(entra, role))).toBe('done')
    }
  })

  it('is for the connection itself and nobody else', async () => {
    const entra = connection(cedar)
    const okta = connection(cedar)
    const strangers: Caller[] = [okta, cedar.of.tenant_admin.caller, cedar.operator, rig.nobody(cedar.id)]
    for (const who of strangers) {
      const attempt = rig.act(who, (scope) => rig.contract.provisionMember(scope, { ...entra.here, email: address(), role: 'clinician' }))
      expect(await codeOf(attempt)).toBe('FORBIDDEN')
    }
  })

  it('never gives one external id to two people of a connection', async () => {
    const entra = connection(cedar)
    await provision(entra, 'clinician', address(), 'same')
    expect(await codeOf(provision(entra, 'clinician', address(), 'same'))).toBe('ALREADY_LINKED')
    expect(await codeOf(provision(connection(cedar), 'clinician', address(), 'same'))).toBe('done')
  })
})

describe('cutting', () => {
  const grown = async (role: DirectoryRole, tenant = cedar) => {
    const entra = connection(tenant)
    const made = await provision(entra, role)
    await rig.session(tenant, made.membershipId, String((await status(made.membershipId))['plane']))
    await rig.session(tenant, made.membershipId, String((await status(made.membershipId))['plane']))
    await rig.owner(
      "insert into identity.api_token (tenant_id, id, name, hash, permissions, created_by) values ($1, $2, 'sync', $3, '{}', $4)",
      [tenant.id, newId(), newId(), made.membershipId],
    )
    return { entra, ...made }
  }
  const live = async (membershipId: string) =>
    (await rig.owner('select 1 from identity.session where membership_id = $1 and revoked_at is null', [membershipId])).length

  it('suspends, ends every session and flags the tokens, which work on, and says how many', async () => {
    const { entra, membershipId } = await grown('care_coordinator')
    const cut = await run(entra, (scope) => rig.contract.cut(scope, { ...entra.here, membershipId }))
    expect(cut).toEqual({ membershipId, sessions: 2, invitations: 0, flaggedTokens: 1, wasLastAdmin: false })
    expect(await status(membershipId)).toMatchObject({ status: 'SUSPENDED' })
    expect(await live(membershipId)).toBe(0)
    const [token] = await rig.owner('select flagged_at, revoked_at from identity.api_token where created_by = $1', [membershipId])
    expect(token).toMatchObject({ flagged_at: expect.any(Date) as Date, revoked_at: null })
    interface Listed {
      apiTokens: { edges: { node: { name: string; creatorLeft: boolean; flaggedAt: string | null } }[] }
    }
    const list = '{ apiTokens(first: 100) { edges { node { name creatorLeft flaggedAt } } } }'
    const { data } = await rig.ask<Listed>(cedar.of.tenant_admin.caller, list)
    const shown = data!.apiTokens.edges.find(({ node }) => node.name === 'sync')!.node
    expect(shown).toEqual({ name: 'sync', creatorLeft: true, flaggedAt: expect.any(String) as string })
  })

  it('lets in again whom it cut, in the role of now; no session and no flag comes back', async () => {
    const { entra, membershipId } = await grown('clinician')
    await run(entra, (scope) => rig.contract.cut(scope, { ...entra.here, membershipId }))
    // A sign-in that was under way while access was cut.
    await rig.session(cedar, membershipId, 'clinician')
    await run(entra, (scope) => rig.contract.reinstate(scope, { ...entra.here, membershipId, role: 'care_coordinator' }))
    expect(await status(membershipId)).toMatchObject({ status: 'ACTIVE', role: 'care_coordinator', plane: 'console' })
    expect(await live(membershipId)).toBe(0)
    const [token] = await rig.owner('select flagged_at from identity.api_token where created_by = $1', [membershipId])
    expect(token!['flagged_at']).not.toBeNull()
  })

  it('never lifts what an administrator decided', async () => {
    const { entra, membershipId } = await grown('clinician')
    await rig.act(cedar.of.tenant_admin.caller, (scope) => rig.contract.suspendMember(scope, { id: membershipId }))
    await run(entra, async (scope) => {
      await rig.contract.cut(scope, { ...entra.here, membershipId })
      scope.unit.record({ action: 'test.cut', resource: 'Test', outcome: 'done' })
    })
    const attempt = run(entra, (scope) => rig.contract.reinstate(scope, { ...entra.here, membershipId, role: 'clinician' }))
    expect(await codeOf(attempt)).toBe('MEMBER_ENDED')
    expect(await status(membershipId)).toMatchObject({ status: 'SUSPENDED' })
  })

  it('takes even the last administrator and raises the alert; the console refuses the same act', async () => {
    const tenant = await rig.tenant()
    const { entra, membershipId } = await grown('tenant_admin', tenant)
    const other = tenant.of.tenant_admin
    await rig.act(other.caller, (scope) => rig.contract.suspendMember(scope, { id: membershipId })).catch(() => {})
    await rig.owner("update identity.membership set status = 'ACTIVE' where id = $1", [membershipId])
    await rig.owner("update identity.membership set status = 'ENDED' where id = $1", [other.membershipId])
    expect(await codeOf(rig.act(other.caller, (scope) => rig.contract.deactivateMember(scope, { id: membershipId })))).toBe('LAST_ADMIN')
    const cut = await run(entra, (scope) => rig.contract.cut(scope, { ...entra.here, membershipId }))
    expect(cut.wasLastAdmin).toBe(true)
    const { connectionId } = entra.here
    expect(await rig.events(tenant.id, 'identity.directory.last_admin_cut')).toEqual([{ membershipId, connectionId }])
  })

  it('ends a membership for good and frees its external id', async () => {
    const entra = connection(cedar)
    const { membershipId } = await provision(entra, 'clinician', address(), 'leaver')
    await run(entra, (scope) => rig.contract.end(scope, { ...entra.here, membershipId }))
    expect(await status(membershipId)).toMatchObject({ status: 'ENDED' })
    expect(await codeOf(provision(entra, 'clinician', address(), 'leaver'))).toBe('done')
  })

  it('touches neither members without a link nor those of another connection, another tenant or another plane', async () => {
    const entra = connection(cedar)
    const mine = await provision(entra)
    const theirs = await provision(connection(cedar))
    const abroad = await provision(connection(olive))
    const { clinician, family } = cedar.of
    for (const { membershipId } of [clinician, theirs, abroad, family]) {
      expect(await codeOf(run(entra, (scope) => rig.contract.cut(scope, { ...entra.here, membershipId })))).toBe('NOT_FOUND')
      expect(await status(membershipId)).toMatchObject({ status: 'ACTIVE' })
    }
    expect(await codeOf(run(entra, (scope) => rig.contract.cut(scope, { ...entra.here, membershipId: mine.membershipId })))).toBe('done')
  })

  it('settles people in sets: who is new, who moves, who stays, who goes and who is somebody else\'s', async () => {
    const entra = connection(cedar)
    const [stays, moves, goes] = [await provision(entra), await provision(entra), await provision(entra)]
    const person = (key: string, membershipId: string | null, role: DirectoryRole | null, email = address()) =>
      ({ key, membershipId, role, email })
    const settled = await run(entra, (scope) =>
      rig.contract.settleMembers(scope, {
        ...entra.here,
        people: [
          person('new', null, 'clinician'),
          person('stays', stays.membershipId, 'clinician'),
          person('moves', moves.membershipId, 'caregiver'),
          person('goes', goes.membershipId, null),
          person('held', null, 'clinician', cedar.of.clinician.email),
          person('nothing', null, null),
        ],
      }),
    )
    expect(Object.fromEntries(settled.map(({ key, outcome }) => [key, outcome]))).toEqual({
      new: 'PROVISIONED', stays: 'UNCHANGED', moves: 'ROLE_CHANGED', goes: 'CUT', held: 'HELD', nothing: 'UNCHANGED',
    })
    expect(settled.find(({ key }) => key === 'goes')!.cut).toMatchObject({ membershipId: goes.membershipId })
  })
})

describe('linking', () => {
  const link = (who: Caller, here: { source: 'SCIM'; connectionId: string }, { membershipId }: Pick<Person, 'membershipId'>) =>
    rig.act(who, (scope) => rig.contract.linkMember(scope, { ...here, membershipId }))

  it('lets a connection act on a member who was there before, once an administrator said so', async () => {
    const entra = connection(cedar)
    const member = await cedar.add('clinician')
    expect(await codeOf(link(cedar.of.care_coordinator.caller, entra.here, member))).toBe('FORBIDDEN')
    const admin = cedar.of.tenant_admin.caller
    expect(await link(admin, entra.here, member)).toMatchObject({ origin: 'LINKED', membershipId: member.membershipId })
    expect(await codeOf(link(admin, entra.here, member))).toBe('ALREADY_LINKED')
    expect(await codeOf(run(entra, (scope) => rig.contract.cut(scope, { ...entra.here, membershipId: member.membershipId })))).toBe('done')
  })

  it('is not for consumers, sellers or another tenant\'s members', async () => {
    const entra = connection(cedar)
    for (const role of ['family', 'provider_manager'] as const) {
      expect(await codeOf(link(cedar.of.tenant_admin.caller, entra.here, cedar.of[role]))).toBe('NOT_LINKABLE')
    }
    expect(await codeOf(link(cedar.of.tenant_admin.caller, entra.here, olive.of.clinician))).toBe('NOT_FOUND')
  })
})

describe('an administrator with a second factor', () => {
  const prove = (who: Caller) =>
    rig.act(who, async (scope) => {
      scope.unit.record({ action: 'test.proved', resource: 'Test', outcome: 'done' })
      return rig.contract.proveAdministrator(scope, {})
    })

  it('is one whose session began after the factor was confirmed, and no other role', async () => {
    for (const role of ['tenant_admin', 'compliance_officer'] as const) {
      const person = await cedar.add(role)
      const before = await rig.session(cedar, person.membershipId, 'console')
      // Well apart: two clocks tell less than a millisecond from each other.
      await rig.owner("update identity.session set created_at = created_at - interval '1 minute' where id = $1", [before])
      await rig.owner(
        "insert into identity.totp_device (tenant_id, identity_id, secret, confirmed_at) values ($1, $2, 'v1|x', clock_timestamp() - interval '30 seconds')",
        [cedar.id, person.identityId],
      )
      const after = await rig.session(cedar, person.membershipId, 'console')
      const as = (sessionId: string): Caller => ({ ...person.caller, actor: { ...person.caller.actor, sessionId } as Caller['actor'] })
      expect(await codeOf(prove(as(before)))).toBe('SECOND_FACTOR_NEEDED')
      expect(await codeOf(prove(as(after)))).toBe(role === 'tenant_admin' ? 'done' : 'SECOND_FACTOR_NEEDED')
    }
  })
})
