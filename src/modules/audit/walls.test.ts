/** The walls of the audit trail: it grows and never changes, and nothing happens without it. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '../../kernel/id.ts'
import type { Caller } from '../../kernel/scope.ts'
import { Database } from '../../platform/db/database.ts'
import { logins, urlFor } from '../../platform/db/logins.ts'
import { withClient } from '../../platform/db/provision.ts'
import { freshDatabase, loginSecret, type TestDatabase } from '../../../test/kit/postgres.ts'

const tenantId = newId()
const caller: Caller = {
  tenantId,
  plane: 'console',
  actor: {
    kind: 'member',
    membershipId: newId(),
    identityId: newId(),
    role: 'tenant_admin',
    sessionId: newId(),
    via: 'password',
    providerOrgId: null,
  },
  permissions: new Set(),
  purpose: null,
  requestId: 'walls',
  sourceAddress: null,
  userAgent: null,
}
let at: TestDatabase
let database: Database

beforeAll(async () => {
  at = await freshDatabase()
  database = new Database({ url: at.ownerUrl, loginSecret: loginSecret(), preparedStatements: true })
})
afterAll(async () => {
  await database.close()
  await at.drop()
})

/** The trail, its chain, its anchors, what was signed for, and the key that signs: each with a column to change. */
const tables = { event: 'outcome', link: 'row_hash', checkpoint: 'signature', retired: 'row_hash', checkpoint_key: 'public_key' } as const
const changes = Object.entries(tables).flatMap(([table, column]) => [
  `update audit.${table} set ${column} = ${column}`, `delete from audit.${table}`, `truncate audit.${table}`,
])

test('nobody changes, deletes or truncates a line, a link or an anchor: no login, and not the owner', async () => {
  const unit = database.unit(caller)
  await unit.read(async () => unit.record({ action: 'test.read', resource: 'Tenant', outcome: 'done' }))
  const [before] = await at.owner<{ n: string }>('select count(*) as n from audit.event')
  expect(Number(before!.n)).toBeGreaterThan(0)
  for (const url of [at.ownerUrl, ...logins.map((login) => urlFor(login, at.ownerUrl, loginSecret()))]) {
    await withClient(url, async (client) => {
      await client.query("select set_config('app.tenant_id', $1, false)", [tenantId])
      for (const sql of changes) {
        // 42501: no grant, or the table's own refusal; 25006: a login that only reads.
        await expect(client.query(sql), `${new URL(url).username}: ${sql}`).rejects.toMatchObject({ code: expect.stringMatching(/^(42501|25006)$/) })
      }
    })
  }
  expect(await at.owner('select count(*) as n from audit.event')).toEqual([before])
  // Not because nothing can be written there: those who may add, add.
  expect(await at.owner('select audit.seal_pass() > 0 as sealed')).toEqual([{ sealed: true }])
})

test('check 76: a change whose line cannot be written does not happen, and a read whose line cannot be written answers nothing', async () => {
  const change = async () => {
    const unit = database.unit(caller)
    return unit.command(async () => {
      unit.record({ action: 'tenant.updated', resource: 'Tenant', outcome: 'done' })
      return unit.db.tenant.updateMany({ data: { legalName: 'Changed' } })
    })
  }
  const read = async () => {
    const unit = database.unit(caller)
    return unit.read(async () => {
      unit.record({ action: 'phi.read', resource: 'CareRecipient', subjectId: newId(), outcome: 'done' })
      return 'what was read'
    })
  }
  const named = async () => (await at.owner<{ legal_name: string }>('select legal_name from tenancy.tenant'))[0]!.legal_name
  await at.owner(`insert into tenancy.tenant (tenant_id, slug, legal_name) values ($1, 'walls', 'Before')`, [tenantId])
  await at.owner(`alter table audit.event add constraint no_more check (action <> 'tenant.updated' and action <> 'phi.read') not valid`)
  await expect(change()).rejects.toThrow()
  expect(await named()).toBe('Before')
  await expect(read()).rejects.toThrow()

  await at.owner('alter table audit.event drop constraint no_more')
  expect(await change()).toEqual({ count: 1 })
  expect(await named()).toBe('Changed')
  expect(await read()).toBe('what was read')
})
