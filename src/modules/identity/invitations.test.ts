/** Invitations on a real database: who may invite whom, what a letter holds, and how a link is used up. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId } from '../../kernel/id.ts'
import { cells } from '../../kernel/machine.ts'
import { mayInvite, planeOf, roles, type Role } from '../access/contract.ts'
import { administrationRig, codeOf, password, type Person, type Rig, type Tenant } from '../../../test/kit/administration.ts'
import { invitationLifeMs } from './invitation-letter.ts'
import { invitationMachine, type InvitationEvent, type InvitationState } from './rules.ts'
import { mostInvitationsADay, resendPauseMs } from './service-invitations.ts'

let rig: Rig
let cedar: Tenant
let zaytuna: Tenant
let recipientId: string
let strangerId: string

const address = () => `p${newId().slice(-12)}@example.org`
const invite = (by: Person, input: Parameters<Rig['contract']['inviteMember']>[1]) =>
  rig.act(by.caller, (scope) => rig.contract.inviteMember(scope, input))
const accept = (tenantId: string, token: string, chosen = password) =>
  rig.call(rig.nobody(tenantId), (scope) => rig.contract.acceptInvitation(scope, { token, password: chosen }))
const letterTo = (email: string) => rig.letters().filter(({ to }) => to.includes(email)).at(-1)!
const stateOf = async (id: string) =>
  (await rig.owner<{ state: InvitationState }>('select state from identity.invitation where id = $1', [id]))[0]!.state

/** A recipient with their party; `represented` gives a member a live edge as legal guardian. */
async function recipient(tenantId: string, guardian?: Person, legal = true): Promise<string> {
  const [id, party, helper] = [newId(), newId(), newId()]
  await rig.owner("insert into care.recipient (tenant_id, id, phi) values ($1, $2, 'v1|x')", [tenantId, id])
  const addParty = (partyId: string, kind: string, column: string, value: string) =>
    rig.owner(`insert into care.party (tenant_id, id, kind, phi, ${column}) values ($1, $2, $3, 'v1|x', $4)`, [tenantId, partyId, kind, value])
  await addParty(party, 'RECIPIENT', 'recipient_id', id)
  if (guardian) {
    await addParty(helper, 'FAMILY', 'membership_id', guardian.membershipId)
    await rig.owner(
      "insert into care.edge (tenant_id, id, from_party_id, to_party_id, relation, legal_guardian) values ($1, $2, $3, $4, 'CHILD', $5)",
      [tenantId, newId(), helper, party, legal],
    )
  }
  return id
}

beforeAll(async () => {
  rig = await administrationRig()
  cedar = await rig.tenant()
  zaytuna = await rig.tenant('ar')
  recipientId = await recipient(cedar.id, cedar.of.family)
  strangerId = await recipient(cedar.id)
})
afterAll(() => rig.close())

describe('who may invite whom', () => {
  // 7 x 7 cells, from the rules of access.
  const grid = roles.flatMap((inviter) => roles.map((target): [Role, Role, boolean] => [inviter, target, mayInvite(inviter, target)]))

  it.each(grid)('%s invites %s: %s', async (inviter, target, allowed) => {
    const by = cedar.of[inviter]
    const email = address()
    const input = { email, role: target, ...(inviter === 'family' ? { recipientId } : {}) }
    const holds = by.caller.permissions.has('user:invite')
    expect(await codeOf(invite(by, input))).toBe(allowed ? 'done' : holds ? 'ROLE_OUT_OF_REACH' : 'FORBIDDEN')
    expect(rig.letters().filter(({ to }) => to === email)).toHaveLength(allowed ? 1 : 0)
  })

  it('a seller invites into her own organisation and into no other', async () => {
    const seller = cedar.of.provider_manager
    const own = seller.caller.actor.kind === 'member' ? seller.caller.actor.providerOrgId! : ''
    const email = address()
    expect(await codeOf(invite(seller, { email, role: 'provider_manager', providerOrgId: newId() }))).toBe('NOT_FOUND')
    expect(await invite(seller, { email, role: 'provider_manager' })).toMatchObject({ providerOrgId: own })
    const homeless = { ...seller.caller, actor: { ...seller.caller.actor, providerOrgId: null } } as Person['caller']
    expect(await codeOf(invite({ ...seller, caller: homeless }, { email, role: 'provider_manager' }))).toBe('FORBIDDEN')
    const clinician = { email, role: 'clinician', providerOrgId: newId() } as const
    expect(await codeOf(invite(cedar.of.tenant_admin, clinician))).toBe('INVALID_INPUT')
  })

  it('a family member invites for those whom she represents, a coordinator for any of the tenant, an administrator for none', async () => {
    const abroad = await recipient(zaytuna.id)
    const friend = await recipient(cedar.id, cedar.of.family, false)
    const ask = (by: Person, id: string | undefined) =>
      codeOf(invite(by, { email: address(), role: 'family', ...(id ? { recipientId: id } : {}) }))
    expect(await ask(cedar.of.family, recipientId)).toBe('done')
    expect(await ask(cedar.of.family, undefined)).toBe('INVALID_INPUT')
    for (const id of [strangerId, friend, abroad, newId()]) expect(await ask(cedar.of.family, id)).toBe('NOT_FOUND')
    for (const id of [recipientId, strangerId]) expect(await ask(cedar.of.care_coordinator, id)).toBe('done')
    for (const id of [abroad, newId()]) expect(await ask(cedar.of.care_coordinator, id)).toBe('NOT_FOUND')
    expect(await ask(cedar.of.tenant_admin, recipientId)).toBe('NOT_FOUND')
  })

  it('neither a program nor nobody invites', async () => {
    const input = { email: address(), role: 'family' } as const
    const program = rig.program(cedar.id, cedar.of.tenant_admin.caller.permissions)
    expect(await codeOf(rig.act(program, (scope) => rig.contract.inviteMember(scope, input)))).toBe('FORBIDDEN')
    expect(await codeOf(rig.act(rig.nobody(cedar.id), (scope) => rig.contract.inviteMember(scope, input)))).toBe('UNAUTHENTICATED')
  })

  it('who may read members is told that somebody is one; a family member is not', async () => {
    const { email } = cedar.of.family
    expect(await codeOf(invite(cedar.of.tenant_admin, { email: email.toUpperCase(), role: 'family' }))).toBe('ALREADY_MEMBER')
    expect(await codeOf(invite(cedar.of.family, { email, role: 'family', recipientId }))).toBe('done')
    const { membershipId } = await accept(cedar.id, letterTo(email).tokens[0]!)
    expect(membershipId).toBe(cedar.of.family.membershipId)
  })

  it('one member does not flood mailboxes', async () => {
    const by = await cedar.add('care_coordinator')
    await rig.owner(
      `insert into identity.invitation (tenant_id, id, email, plane, role, token_hash, invited_by, expires_at)
       select $1, gen_random_uuid(), 'x@example.org', 'consumer', 'family', gen_random_uuid()::text, $2, now() from generate_series(1, $3)`,
      [cedar.id, by.membershipId, mostInvitationsADay - 1],
    )
    expect(await codeOf(invite(by, { email: address(), role: 'family' }))).toBe('done')
    expect(await codeOf(invite(by, { email: address(), role: 'family' }))).toBe('TOO_MANY_REQUESTS')
  })
})

describe('the letter', () => {
  it('is one, in the language asked for or the tenant\'s, and holds the only copy of the secret', async () => {
    for (const [tenant, locale, word] of [
      [cedar, undefined, 'invites you'],
      [cedar, 'ar', 'تدعوك'],
      [zaytuna, undefined, 'تدعوك'],
      [zaytuna, 'en', 'invites you'],
    ] as const) {
      const email = address()
      await invite(tenant.of.tenant_admin, { email, role: 'clinician', ...(locale ? { locale } : {}) })
      const letters = rig.letters().filter(({ to }) => to === email)
      expect(letters).toHaveLength(1)
      const { text, tokens, subject } = letters[0]!
      expect(text).toContain(word)
      expect(subject).toContain(`House ${tenant.slug}`)
      expect(tokens).toHaveLength(1)
      expect(text).toContain(`https://${tenant.slug}.care.example/invite#${tokens[0]}`)
      expect(await inDatabase(tokens[0]!)).toEqual([])
      expect(await inDatabase(email)).toEqual(['identity.invitation'])
    }
  })

  it('goes to the address as typed in any script, and a hostile one gets none', async () => {
    const by = cedar.of.tenant_admin
    expect(await invite(by, { email: 'أمل@مثال.إختبار', role: 'family' })).toMatchObject({ email: 'أمل@xn--mgbh0fb.xn--kgbechtv' })
    const before = rig.letters().length
    const hostile = ['a@b.org\nBcc: x@example.org', 'a\0@b.org', '\u202egro.elpmaxe@a', `${'x'.repeat(400)}@b.org`, 'a@b.org, c@d.org']
    for (const email of hostile) {
      expect(await codeOf(invite(by, { email, role: 'family' }))).toBe('INVALID_INPUT')
    }
    expect(rig.letters()).toHaveLength(before)
  })
})

/** The tables that hold a text anywhere in a row. */
async function inDatabase(text: string): Promise<string[]> {
  const tables = await rig.owner<{ at: string }>(
    `select format('%I.%I', table_schema, table_name) as at from information_schema.tables
     where table_schema in ('identity', 'audit', 'outbox', 'tenancy', 'vault') order by 1`,
  )
  const each = tables.map(({ at }) => `select '${at}' as at where exists (select from ${at} t where strpos(t::text, $1) > 0)`)
  return (await rig.owner<{ at: string }>(each.join(' union all '), [text])).map(({ at }) => at)
}

describe('a link', () => {
  const fresh = async (role: Role = 'clinician', tenant = cedar) => {
    const email = address()
    const { id } = await invite(tenant.of.tenant_admin, { email, role })
    return { id, email, token: letterTo(email).tokens[0]! }
  }

  it('makes the account and the membership, once, on the role\'s plane', async () => {
    const { id, email, token } = await fresh('caregiver')
    const accepted = await accept(cedar.id, token)
    expect(accepted.plane).toBe(planeOf('caregiver'))
    const [row] = await rig.owner(
      `select m.status, m.role, i.email, c.password_hash from identity.membership m join identity.identity i on i.id = m.identity_id
       join identity.credential c on c.identity_id = i.id where m.id = $1`,
      [accepted.membershipId],
    )
    expect(row).toMatchObject({ status: 'ACTIVE', role: 'caregiver', email })
    expect(row!.password_hash).toMatch(/^\$argon2id\$/)
    expect(await stateOf(id)).toBe('ACCEPTED')
    expect(await codeOf(accept(cedar.id, token))).toBe('INVITATION_INVALID')
    const { membershipId } = accepted
    expect(await rig.events(cedar.id, 'identity.invitation.accepted')).toContainEqual({ invitationId: id, membershipId })
    const [audit] = (await rig.audited(cedar.id, 'invitation.accepted')).filter(({ resource_id }) => resource_id === id)
    expect(audit).toMatchObject({ actor_id: accepted.membershipId, source_address: '192.0.2.7' })
    expect(JSON.stringify(await rig.audited(cedar.id, 'invitation.sent'))).not.toContain(email)
  })

  it('of another tenant, a made-up, a misspelt or a hostile one is refused alike', async () => {
    const { token } = await fresh()
    const bent = [token.slice(1), `${token}A`, token.replace(/.$/, '_'), `${token.slice(0, -1)}\0`]
    const hostile = ['', 'x', ...bent, '\u202e'.repeat(43), 'A'.repeat(43)]
    for (const one of hostile) expect(await codeOf(accept(cedar.id, one)), JSON.stringify(one)).toBe('INVITATION_INVALID')
    expect(await codeOf(accept(zaytuna.id, token))).toBe('INVITATION_INVALID')
    expect(await codeOf(accept(cedar.id, 'A'.repeat(101)))).toBe('INVALID_INPUT')
    expect(await codeOf(accept(cedar.id, token))).toBe('done')
  })

  it('lives 72 hours, then only until it is sent again; the old one is dead', async () => {
    const { id, email, token } = await fresh()
    const start = rig.clock.at
    try {
      rig.clock.at = start + invitationLifeMs - 1
      expect(await codeOf(accept(cedar.id, token, 'short'))).toBe('PASSWORD_REFUSED')
      rig.clock.at = start + invitationLifeMs
      expect(await codeOf(accept(cedar.id, token))).toBe('INVITATION_INVALID')
      await rig.act(cedar.of.tenant_admin.caller, (scope) => rig.contract.resendInvitation(scope, { id }))
      const next = letterTo(email).tokens[0]!
      expect(next).not.toBe(token)
      expect(await codeOf(accept(cedar.id, token))).toBe('INVITATION_INVALID')
      expect(await codeOf(accept(cedar.id, next))).toBe('done')
    } finally {
      rig.clock.at = start
    }
  })

  it('is not sent again and again: a minute lies between', async () => {
    const { id, token } = await fresh()
    const resend = () => codeOf(rig.act(cedar.of.tenant_admin.caller, (scope) => rig.contract.resendInvitation(scope, { id })))
    const before = rig.letters().length
    expect(await resend()).toBe('TOO_MANY_REQUESTS')
    rig.clock.at += resendPauseMs
    expect(await resend()).toBe('done')
    expect(rig.letters()).toHaveLength(before + 1)
    expect(await codeOf(accept(cedar.id, token))).toBe('INVITATION_INVALID')
  })

  it('is taken by exactly one of two who come with it at once', async () => {
    for (let round = 0; round < 5; round++) {
      const { id, token } = await fresh()
      const answers = await Promise.all([codeOf(accept(cedar.id, token)), codeOf(accept(cedar.id, token)), codeOf(accept(cedar.id, token))])
      expect(answers.filter((one) => one === 'done')).toHaveLength(1)
      const made = await rig.owner(
        `select m.id from identity.membership m join identity.identity i on i.id = m.identity_id
         join identity.invitation v on v.email = i.email where v.id = $1`,
        [id],
      )
      expect(made).toHaveLength(1)
    }
  })

  it('is taken by exactly one of two who come with it at once and both know the account\'s password', async () => {
    for (let round = 0; round < 3; round++) {
      const { email } = await cedar.add('clinician')
      await invite(cedar.of.tenant_admin, { email, role: 'caregiver' })
      const token = letterTo(email).tokens[0]!
      const answers = await Promise.all([codeOf(accept(cedar.id, token)), codeOf(accept(cedar.id, token))])
      expect(answers.filter((one) => one === 'done')).toHaveLength(1)
    }
  })

  it('two links of one new person at once make one account, and the second wants its password', async () => {
    const email = address()
    const tokens: string[] = []
    for (const role of ['clinician', 'caregiver'] as const) {
      await invite(cedar.of.tenant_admin, { email, role })
      tokens.push(letterTo(email).tokens[0]!)
    }
    const codes = await Promise.all(tokens.map((token, i) => codeOf(accept(cedar.id, token, `${password} ${i}`))))
    expect(codes).toContain('done')
    for (const [i, code] of codes.entries()) {
      if (code === 'done') continue
      expect(['STALE_VERSION', 'INVALID_CREDENTIALS']).toContain(code)
      expect(await codeOf(accept(cedar.id, tokens[i]!, `${password} ${1 - i}`))).toBe('done')
    }
    const [row] = await rig.owner(
      `select count(distinct i.id)::int as people, count(m.*)::int as places
       from identity.identity i join identity.membership m on m.identity_id = i.id where i.email = $1`,
      [email],
    )
    expect(row).toEqual({ people: 1, places: 2 })
  })

  it('of somebody with an account wants that account\'s password and leaves it alone', async () => {
    const { email, identityId } = await cedar.add('clinician')
    await invite(cedar.of.tenant_admin, { email: email.toUpperCase(), role: 'caregiver' })
    const token = letterTo(email).tokens[0]!
    const hash = async () => (await rig.owner('select password_hash from identity.credential where identity_id = $1', [identityId]))[0]
    const before = await hash()
    expect(await codeOf(accept(cedar.id, token, 'another long password'))).toBe('INVALID_CREDENTIALS')
    expect(await codeOf(accept(cedar.id, token))).toBe('done')
    expect(await hash()).toEqual(before)
    const refused = await rig.audited(cedar.id, 'invitation.refused')
    expect(refused).toContainEqual(expect.objectContaining({ resource_id: identityId, outcome: 'denied' }))
  })

  it('is no way to guess a password', async () => {
    const { email } = await cedar.add('clinician')
    await invite(cedar.of.tenant_admin, { email, role: 'caregiver' })
    const token = letterTo(email).tokens[0]!
    const elsewhere = { ...rig.nobody(cedar.id), sourceAddress: '198.51.100.9' }
    const guess = (given: string) =>
      codeOf(rig.call(elsewhere, (scope) => rig.contract.acceptInvitation(scope, { token, password: given })))
    expect(await guess('a wrong password')).toBe('INVALID_CREDENTIALS')
    // As if twenty had been made.
    await rig.owner('update identity.throttle_count set count = 20 where count > 0')
    expect(await guess(password)).toBe('TOO_MANY_REQUESTS')
    await rig.owner('delete from identity.throttle_count')
    expect(await guess(password)).toBe('done')
    expect(await rig.owner('select 1 from identity.throttle_count where count > 0')).toEqual([])
  })

  it('does not lift a suspension, revive a disabled account, or come back for one who left: that is a new membership', async () => {
    const person = await cedar.add('clinician')
    const again = async () => {
      await rig.owner("update identity.membership set status = 'ENDED' where id = $1", [person.membershipId])
      await invite(cedar.of.tenant_admin, { email: person.email, role: 'clinician' })
      return letterTo(person.email).tokens[0]!
    }
    const token = await again()
    const blocks = [['membership', person.membershipId, 'SUSPENDED'], ['identity', person.identityId, 'DISABLED']] as const
    for (const [table, id, status] of blocks) {
      await rig.owner(`update identity.${table} set status = $2 where id = $1`, [id, status])
      expect(await codeOf(accept(cedar.id, token))).toBe('INVITATION_INVALID')
    }
    await rig.owner("update identity.identity set status = 'ACTIVE' where id = $1", [person.identityId])
    await rig.owner("update identity.membership set status = 'ENDED' where id = $1", [person.membershipId])
    const { membershipId } = await accept(cedar.id, token)
    expect(membershipId).not.toBe(person.membershipId)
  })
})

describe('an invitation\'s states', () => {
  /** Hours until the link is over; an expired one has been for an hour. */
  const hoursLeft = (state: InvitationState): number => (state === 'EXPIRED' ? -1 : 1)
  const acts: Partial<Record<InvitationEvent, (id: string, token: string) => Promise<unknown>>> = {
    revoke: (id) => rig.act(cedar.of.tenant_admin.caller, (scope) => rig.contract.revokeInvitation(scope, { id })),
    accept: (_, token) => accept(cedar.id, token),
    resend: (id) => rig.act(cedar.of.tenant_admin.caller, (scope) => rig.contract.resendInvitation(scope, { id })),
  }

  const known = [...cells(invitationMachine)].filter(({ event }) => event in acts)

  it.each(known)('$state and $event lead to $to', async ({ state, event, to }) => {
    const email = address()
    const { id } = await invite(cedar.of.tenant_admin, { email, role: 'clinician' })
    const token = letterTo(email).tokens[0]!
    const expiresAt = new Date(rig.clock.at + hoursLeft(state) * 3_600_000)
    await rig.owner('update identity.invitation set state = $2, expires_at = $3 where id = $1', [id, state, expiresAt])
    const code = await codeOf(acts[event]!(id, token))
    // Opening comes with accepting; an open one that is sent again expires first.
    const isOpen = state === 'SENT' || state === 'SEEN'
    const expected = event === 'accept' && isOpen ? 'ACCEPTED' : event === 'resend' && isOpen ? 'SENT' : to
    if (expected === null) expect(['INVALID_TRANSITION', 'INVITATION_INVALID']).toContain(code)
    else expect(code).toBe('done')
    expect(await stateOf(id)).toBe(expected ?? state)
  })

  it('are moved within reach only; a stranger\'s invitation is not there', async () => {
    const { id } = await invite(cedar.of.tenant_admin, { email: address(), role: 'tenant_admin' })
    const revoke = (by: Person) => codeOf(rig.act(by.caller, (scope) => rig.contract.revokeInvitation(scope, { id })))
    expect(await revoke(zaytuna.of.tenant_admin)).toBe('NOT_FOUND')
    expect(await revoke(cedar.of.family)).toBe('NOT_FOUND')
    expect(await revoke(cedar.of.provider_manager)).toBe('NOT_FOUND')
    expect(await revoke(cedar.of.care_coordinator)).toBe('ROLE_OUT_OF_REACH')
    expect(await revoke(cedar.of.clinician)).toBe('FORBIDDEN')
    expect(await revoke(await cedar.add('tenant_admin'))).toBe('done')
  })
})
