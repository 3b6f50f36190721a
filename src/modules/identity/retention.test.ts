/** What is over is let go of, in bounded batches and each tenant by itself; what could still let somebody in stays, whoever asks. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { newId } from '../../kernel/id.ts'
import type { Scope } from '../../kernel/scope.ts'
import { systemCaller } from '../../platform/jobs/system.ts'
import { authLogin, platformFor } from '../../platform/module.ts'
import { administrationRig, codeOf, type Rig, type Tenant } from '../../../test/kit/administration.ts'
import { identity } from './index.ts'
import { createRetentionRepo } from './repo-retention.ts'
import { createRetention } from './retention.ts'

let rig: Rig
let here: Tenant
let there: Tenant
beforeAll(async () => {
  rig = await administrationRig()
})
afterAll(() => rig.close())
beforeEach(async () => {
  ;[here, there] = [await rig.tenant(), await rig.tenant()]
})

/** One run of the job in a tenant, as the scheduler runs it. */
const tidy = (tenant: Tenant, rows?: number) => {
  const { sql } = platformFor(identity, { clock: rig.clock } as never)
  const retention = createRetention({ repo: createRetentionRepo({ sql }), clock: rig.clock, ...(rows ? { rows } : {}) })
  return rig.database.unit(systemCaller(tenant.id, 'identity.tidy', newId())).command(async (scope) => {
    scope.unit.record({ action: 'job.ran', resource: 'Job', outcome: 'done' })
    await retention.tidy(scope)
  }, authLogin)
}
const counted = async (tenant: Tenant) => (await rig.audited(tenant.id, 'identity.tidied')).map(({ detail }) => detail)

/** A session of a member: days since it began, was used, ended; `null` for not revoked. */
async function session(tenant: Tenant, age: { began: number; used: number; ends: number; revoked: number | null }, who = tenant.of.clinician) {
  const id = newId()
  await rig.owner(
    `insert into identity.session (tenant_id, id, membership_id, plane, via, refresh_hash, created_at, rotated_at, expires_at, revoked_at)
     values ($1, $2::uuid, $3, 'clinician', 'password', $2::uuid::text, now() - $4::float8 * interval '1 day', now() - $5::float8 * interval '1 day',
       now() - $6::float8 * interval '1 day', now() - $7::float8 * interval '1 day')`,
    [tenant.id, id, who.membershipId, age.began, age.used, age.ends, age.revoked],
  )
  return id
}
const sessionsOf = async (tenant: Tenant) =>
  (await rig.owner<{ id: string }>('select id from identity.session where tenant_id = $1', [tenant.id])).map(({ id }) => id).sort()

const token = (tenant: Tenant, expires: number, used: number | null) => {
  const id = newId()
  return rig.owner<{ id: string }>(
    `insert into identity.one_time_token (tenant_id, id, identity_id, purpose, hash, expires_at, used_at)
     values ($1, $2::uuid, $3, 'PASSWORD_RESET', $2::uuid::text, now() - $4::float8 * interval '1 hour', now() - $5::float8 * interval '1 hour') returning id`,
    [tenant.id, id, tenant.of.clinician.identityId, expires, used],
  ).then(([row]) => row!.id)
}
const idsIn = async (table: string, tenant: Tenant) =>
  (await rig.owner<{ id: string }>(`select id from ${table} where tenant_id = $1`, [tenant.id])).map(({ id }) => id).sort()

const expired = { began: 40, used: 40, ends: 39, revoked: null }

describe('sessions', () => {
  it('that ended 30 days ago go; those that ended later, live ones and everybody\'s newest stay', async () => {
    const stays = [
      await session(here, { began: 1, used: 0, ends: -1, revoked: null }),
      await session(here, { began: 30, used: 29, ends: 28, revoked: null }),
      await session(here, { began: 50, used: 29, ends: -1, revoked: 29 }),
      await session(here, expired, here.of.caregiver),
      await session(there, expired),
    ]
    await session(there, { began: 1, used: 0, ends: -1, revoked: null })
    await session(here, expired)
    await session(here, { began: 60, used: 31, ends: -1, revoked: null })
    await session(here, { began: 60, used: 20, ends: -1, revoked: 31 })
    await session(here, { ...expired, began: 41 }, here.of.caregiver)
    await tidy(here)
    expect(await sessionsOf(here)).toEqual(stays.slice(0, 4).sort())
    expect((await sessionsOf(there)).length).toBe(2)
    expect(await counted(here)).toEqual([{ sessions: 4, tokens: 0, counters: 0, invitations: 0 }])
  })

  it('of an administrator, all long over, still make the operator ask', async () => {
    const admin = here.of.tenant_admin
    for (const began of [80, 60, 40]) await session(here, { ...expired, began }, admin)
    await tidy(here)
    expect((await sessionsOf(here)).length).toBe(1)
    const invite = rig.operate(here.operator, (scope) => rig.contract.operatorInvite(scope, { email: 'a@b.example', role: 'clinician' }))
    expect(await codeOf(invite)).toBe('TENANT_APPROVAL_NEEDED')
  })

  it('go in batches, and what a run leaves the next one takes', async () => {
    for (let count = 0; count < 13; count++) await session(here, { ...expired, began: 40 + count })
    await tidy(here, 1)
    expect((await sessionsOf(here)).length).toBe(3)
    await tidy(here, 1)
    expect((await sessionsOf(here)).length).toBe(1)
    expect(await counted(here)).toMatchObject([{ sessions: 10 }, { sessions: 2 }])
  })
})

it('one-time tokens go a day after they were used or over, and unused ones with time left stay', async () => {
  const stays = [await token(here, -1, null), await token(here, 23, null), await token(here, -1, 23)]
  const other = await token(there, 25, null)
  await token(here, 25, null)
  await token(here, -1, 25)
  await tidy(here)
  expect(await idsIn('identity.one_time_token', here)).toEqual([...stays].sort())
  expect(await idsIn('identity.one_time_token', there)).toEqual([other])
})

it('counters go when no window reaches them any more', async () => {
  const count = (key: string, hours: number) =>
    rig.owner(`insert into identity.throttle_count (tenant_id, key, bucket, count, expires_at) values ($1, $2, now(), 1, now() - $3::float8 * interval '1 hour')`, [
      here.id, key, hours,
    ])
  await count('over', 0.01)
  await count('counting', -1)
  await tidy(here)
  expect(await rig.owner('select key from identity.throttle_count where tenant_id = $1', [here.id])).toEqual([{ key: 'counting' }])
})

it('invitations whose time is up say EXPIRED in their row, and can be sent again; open and answered ones stay as they are', async () => {
  const invite = (email: string) =>
    rig.act(here.of.tenant_admin.caller, (scope) => rig.contract.inviteMember(scope, { email, role: 'clinician' }))
  const [over, open, revoked] = [await invite('over@b.example'), await invite('open@b.example'), await invite('revoked@b.example')]
  await rig.act(here.of.tenant_admin.caller, (scope) => rig.contract.revokeInvitation(scope, { id: revoked.id }))
  await rig.owner("update identity.invitation set expires_at = now() - interval '1 minute' where id = any($1)", [[over.id, revoked.id]])
  await tidy(here)
  const states = await rig.owner<{ id: string; state: string }>('select id, state from identity.invitation where tenant_id = $1 order by id', [here.id])
  expect(states).toEqual([{ id: over.id, state: 'EXPIRED' }, { id: open.id, state: 'SENT' }, { id: revoked.id, state: 'REVOKED' }])
  const again = await rig.act(here.of.tenant_admin.caller, (scope) => rig.contract.resendInvitation(scope, { id: over.id }))
  expect(again).toMatchObject({ id: over.id, state: 'SENT' })
})

it('a run with nothing to do changes nothing and says nothing but that it ran', async () => {
  await tidy(here)
  expect(await counted(here)).toEqual([])
})

it('is a job of every tenant on the login that signs people in, and the worker\'s login reaches none of these rows', async () => {
  expect(identity.jobs.find(({ name }) => name === 'tidy')).toMatchObject({ inEveryTenant: true, login: authLogin })
  const foreign = await session(there, { ...expired, revoked: 39 })
  const own = await session(here, expired)
  const write = (sql: string, login?: typeof authLogin) => {
    const unit = rig.database.unit(systemCaller(here.id, 'test.job', newId()))
    const work = async (scope: Scope) => {
      scope.unit.record({ action: 'job.ran', resource: 'Job', outcome: 'done' })
      return unit.db.$executeRawUnsafe(sql)
    }
    return unit.command(work, login).catch(() => 'refused')
  }
  for (const table of ['session', 'one_time_token', 'throttle_count', 'invitation']) {
    for (const sql of [`select from identity.${table}`, `delete from identity.${table}`]) expect(await write(sql), sql).toBe('refused')
  }
  expect(await write(`delete from identity.session where id = '${foreign}'`, authLogin)).toBe(0)
  expect(await write(`delete from identity.session where id = '${own}'`, authLogin)).toBe(1)
})
