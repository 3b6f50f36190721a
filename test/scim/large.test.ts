/** A change of thousands: access is cut in its own transaction, the rest is settled in steps, and nothing of it is lost (decision 0011). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scim } from '../../src/modules/federation/scim/index.ts'
import { systemCaller } from '../../src/platform/jobs/system.ts'
import { authLogin } from '../../src/platform/module.ts'
import type { Unit } from '../../src/platform/db/unit.ts'
import type { TestTenant } from '../kit/house.ts'
import { groupBody, patchBody, scimRig, type Directory, type ScimRig } from '../kit/scim.ts'

/** More than one transaction may leave rows of the trail or of the outbox. */
const many = 10_400

let rig: ScimRig
let tenant: TestTenant
let entra: Directory
let nurses: string
let carers: string
beforeAll(async () => {
  rig = await scimRig()
  tenant = await rig.house.tenant()
  entra = await rig.directory(tenant)
  await rig.rules(entra, [
    { match: 'DISPLAY_NAME', value: 'Nurses', role: 'clinician' },
    { match: 'DISPLAY_NAME', value: 'Carers', role: 'caregiver' },
  ])
  const group = async (name: string) => (await entra.ask('POST', '/Groups', groupBody(name))).body['id'] as string
  nurses = await group('Nurses')
  carers = await group('Carers')
})
afterAll(() => rig.close())

const owner = <Row extends object>(sql: string, values: unknown[] = []) => rig.house.at.owner<Row & Record<string, unknown>>(sql, values)
const one = async (sql: string, values: unknown[] = []) => Object.values((await owner(sql, values))[0]!)[0]

/** Members of both groups, active as clinicians, one session each: laid as rows that fit each other. */
async function lay(prefix: string, count: number): Promise<void> {
  const mine = `'${tenant.id}'::uuid`
  const here = `${mine}, '${entra.connectionId}'::uuid`
  const id = (letter: string) => `('00000000-0000-7000-8${letter}0-' || lpad(n::text, 12, '0'))::uuid`
  const rows = `from generate_series(1, ${count}) n`
  const address = `'${prefix}' || n || '@large.test'`
  await owner(`
    set session_replication_role = replica;
    insert into identity.identity (tenant_id, id, email, locale) select ${mine}, ${id(`${prefix}1`)}, ${address}, 'en' ${rows};
    insert into identity.membership (tenant_id, id, identity_id, role, plane, status)
      select ${mine}, ${id(`${prefix}2`)}, ${id(`${prefix}1`)}, 'clinician', 'clinician', 'ACTIVE' ${rows};
    insert into identity.directory_link (tenant_id, connection_id, membership_id, source, origin)
      select ${here}, ${id(`${prefix}2`)}, 'SCIM', 'PROVISIONED' ${rows};
    insert into identity.session (tenant_id, id, membership_id, plane, via, refresh_hash, expires_at)
      select ${mine}, ${id(`${prefix}3`)}, ${id(`${prefix}2`)}, 'clinician', 'saml', '${prefix}' || n, now() + interval '1 hour' ${rows};
    insert into scim."user" (tenant_id, connection_id, id, user_name, user_name_key, active, attributes, search, membership_id, standing)
      select ${here}, ${id(`${prefix}4`)}, ${address}, ${address}, true, jsonb_build_object('userName', ${address}), '{}',
        ${id(`${prefix}2`)}, 'MEMBER' ${rows};
    insert into scim.group_member (tenant_id, connection_id, group_id, user_id)
      select ${here}, g, ${id(`${prefix}4`)} from generate_series(1, ${count}) n, unnest(array['${nurses}', '${carers}']::uuid[]) g;
    analyze identity.membership, identity.directory_link, identity.session, scim."user", scim.group_member`)
}

const count = async (sql: string, values: unknown[] = []): Promise<number> => Number(await one(`select count(*) ${sql}`, values))
const openSessions = (prefix: string) => count('from identity.session where refresh_hash like $1 and revoked_at is null', [`${prefix}%`])
const members = async (prefix: string) =>
  owner<{ role: string; status: string; n: number }>(
    `select m.role, m.status::text as status, count(*)::int as n from identity.membership m
     join identity.identity i on i.tenant_id = m.tenant_id and i.id = m.identity_id where i.email like $1 group by 1, 2 order by 1, 2`,
    [`${prefix}%@large.test`],
  )
const shownUnsettled = async () => {
  const unit = rig.house.database.unit(tenant.member.tenant_admin.caller)
  const [shown] = await unit.read(() => rig.scim.connections(unit.scope, {}))
  return shown!.unsettled
}

const open = (): Unit => rig.house.database.unit(systemCaller(tenant.id, 'scim.settle-people', 'test'))
const workOff = (from: () => Unit) => (rig.house.composed.made['scim'] as ReturnType<typeof scim.build>).workOff(from)

describe(`a group of ${many} that is renamed out of its rule`, () => {
  it('ends every session in its own transaction, leaves a receipt and a place in the trail for each, and is flagged', async () => {
    await lay('a', many)
    const answer = await entra.ask('PATCH', `/Groups/${nurses}`, patchBody({ op: 'replace', path: 'displayName', value: 'Former nurses' }))
    expect(answer.status).toBe(204)
    expect(await openSessions('a')).toBe(0)
    expect(await members('a')).toEqual([{ role: 'clinician', status: 'SUSPENDED', n: many }])
    expect(await owner('select cause, sum(sessions)::int as sessions, count(*)::int as n from scim.receipt group by 1')).toEqual([
      { cause: 'ROLE_CHANGED', sessions: many, n: many },
    ])
    const named = await one(`select sum(jsonb_array_length(detail->'membershipIds'))::int from audit.event where action = 'member.directory_cut_many'`)
    expect(named).toBe(many)
    expect(await one('select flagged_changes from scim.connection where id = $1', [entra.connectionId])).toBe(many)
    expect(await shownUnsettled()).toBe(many)
  })

  it('gives them what the rules say now in steps, going on where a run was cut off', async () => {
    let steps = 0
    const cutOff = () => {
      // A look and a command make a step.
      if (++steps > 8) throw new Error('cut off')
      return open()
    }
    await expect(workOff(cutOff)).rejects.toThrow('cut off')
    const left = await shownUnsettled()
    expect(left).toBe(many - 4 * 500)
    expect(await members('a')).toEqual([
      { role: 'caregiver', status: 'ACTIVE', n: many - left },
      { role: 'clinician', status: 'SUSPENDED', n: left },
    ])
    expect(await openSessions('a')).toBe(0)
    const told = (action: string) => count('from audit.event where action = $1', [action])
    expect([await told('member.directory_cut'), await told('session.revoked')]).toEqual([many - left, many - left])
    expect(await count("from outbox.event where name = 'identity.session.revoked'")).toBe(many - left)
  })

  it('answers a write to somebody who waits as ever, and the list takes no harm from it', async () => {
    const [step] = await owner<{ id: string; users: string[] }>('select id, user_ids::text[] as users from scim.unsettled order by id limit 1')
    const [inactive, deleted] = step!.users
    expect((await entra.ask('PATCH', `/Users/${inactive}`, patchBody({ op: 'replace', value: { active: false } }))).status).toBe(200)
    expect((await entra.ask('DELETE', `/Users/${deleted}`)).status).toBe(204)
    // One step is left of them: a whole run is the job's affair, not this test's.
    await owner('delete from scim.unsettled where id <> $1', [step!.id])
    await workOff(open)
    expect(await shownUnsettled()).toBe(0)
    const states = await owner(
      `select m.status::text as status from identity.membership m where m.id in (select membership_id from scim.receipt where user_id = any($1::uuid[])) order by 1`,
      [[inactive, deleted]],
    )
    expect(states).toEqual([{ status: 'ENDED' }, { status: 'SUSPENDED' }])
  })
})

describe('as many again', () => {
  it('are held by statements that may take longer than those about a few, within the command alone', async () => {
    const unit = rig.house.database.unit(tenant.member.tenant_admin.caller)
    const mayTake = async () => (await unit.sql.$queryRaw<{ most: string }[]>`select current_setting('statement_timeout') as most`)[0]!.most
    const rules = [{ match: 'DISPLAY_NAME' as const, value: 'Carers', role: 'caregiver' as const }]
    const taken: string[] = []
    await unit.command(
      async (scope) => {
        taken.push(await mayTake())
        await rig.scim.setRules(scope, { connectionId: entra.connectionId, rules })
        taken.push(await mayTake())
      },
      authLogin,
      { isLong: true },
    )
    await unit.command(async (scope) => {
      taken.push(await mayTake())
      scope.unit.record({ action: 'test.looked', resource: 'Test', resourceId: null, outcome: 'done' })
    }, authLogin)
    expect(taken).toEqual(['10s', '45s', '10s'])
    await owner('delete from scim.unsettled')
  })

  it('lose their access with the group that gave it', async () => {
    await owner(`update identity.membership m set status = 'ACTIVE', role = 'caregiver', plane = 'courier'
      from identity.directory_link l where l.membership_id = m.id and m.status <> 'ENDED'`)
    await owner("update identity.session set revoked_at = null where refresh_hash like 'a%'")
    expect((await entra.ask('DELETE', `/Groups/${carers}`)).status).toBe(204)
    // One of them was deleted with her user, and her session is nobody's any more.
    expect(await openSessions('a')).toBe(1)
    expect((await members('a')).map(({ status }) => status)).toEqual(['SUSPENDED', 'ENDED'].toSorted().toReversed())
  })

  it('are counted by a preview and get their role when the rules change for all of them', async () => {
    const preview = await rig.rules(entra, [{ match: 'DISPLAY_NAME', value: 'Former nurses', role: 'care_coordinator' }])
    // One is deleted, one inactive.
    expect([preview.people, preview.changing]).toEqual([many - 1, many - 2])
    await owner('delete from scim.unsettled where id <> (select min(id::text)::uuid from scim.unsettled)')
    await workOff(open)
    expect((await members('a')).find(({ status }) => status === 'ACTIVE')).toMatchObject({ role: 'care_coordinator' })
    expect(await shownUnsettled()).toBe(0)
  })
})

describe('members by the thousand', () => {
  it('are added and removed by one PATCH each: those that are named, and no other', async () => {
    const ids = (await owner<{ id: string }>('select id from scim."user" order by id limit 4000')).map(({ id }) => id)
    const path = `/Groups/${(await entra.ask('POST', '/Groups', groupBody('Choir'))).body['id']}`
    const held = async () =>
      (await owner<{ id: string }>('select user_id as id from scim.group_member where group_id = $1 order by 1', [path.slice(8)])).map(({ id }) => id)
    const change = async (...operations: object[]) => (await entra.ask('PATCH', path, patchBody(...operations))).status
    const members = (op: 'add' | 'remove', some: readonly string[]) => ({ op, path: 'members', value: some.map((value) => ({ value })) })
    expect([await change(members('add', ids)), await held()]).toEqual([204, ids])
    // Who is in it already is no hindrance, and nobody is in it twice.
    expect([await change(members('add', ids.slice(500))), await held()]).toEqual([204, ids])
    expect([await change(members('remove', ids.slice(0, 2_500))), await held()]).toEqual([204, ids.slice(2_500)])
    const oneByOne = ids.slice(2_500, 3_300).map((id) => ({ op: 'remove', path: `members[value eq "${id}"]` }))
    expect([await change(...oneByOne), await held()]).toEqual([204, ids.slice(3_300)])
    // One stranger among thousands, and none of them is added.
    expect([await change(members('add', [...ids.slice(0, 2_000), crypto.randomUUID()])), await held()]).toEqual([404, ids.slice(3_300)])
  })
})
