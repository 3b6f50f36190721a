/** The gate over pg_catalog: a migrated database passes it, and each of its rules finds the violation that is planted for it. */
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { inspectLogins, withClient } from '../src/platform/db/provision.ts'
import { rightsOf, rightsToMend } from '../src/platform/db/rights.ts'
import { schemaDiff } from '../src/platform/db/schema-engine.ts'
import { inspectCatalogue } from '../src/proof/catalogue.ts'
import { rules } from '../src/proof/catalogue-rules.ts'
import { exceptions } from '../src/proof/exceptions.ts'
import { freshDatabase, withCluster, type TestDatabase } from './kit/postgres.ts'

let at: TestDatabase
beforeAll(async () => {
  at = await freshDatabase()
})
afterAll(() => at.drop())

/** What the gate says while `sql` holds; nothing of it is kept, because logins belong to every database of the cluster. */
function withPlanted(sql: string): Promise<string[]> {
  const planted = async (client: pg.Client) => {
    await client.query('begin')
    try {
      await client.query(sql)
      return (await inspectCatalogue(client)).map(({ rule, object }) => `${rule}: ${object}`)
    } finally {
      await client.query('rollback')
    }
  }
  return withCluster(() => withClient(at.ownerUrl, planted))
}

test('a migrated database breaks no rule', async () => {
  const violations = await withClient(at.ownerUrl, (client) => inspectCatalogue(client))
  expect(violations.map(({ message }) => message)).toEqual([])
})

test('the migrations give the datamodel: nothing of it is missing, and nothing is there beside it', async () => {
  expect(await schemaDiff({ ownerUrl: at.ownerUrl })).toBe('')
})

test('every login holds the rights that are listed, and no other', async () => {
  const held = await withClient(at.ownerUrl, (client) => rightsOf(client))
  await expect(`${held.join('\n')}\n`).toMatchFileSnapshot('../prisma/rights.txt')
})

test('a right too few and one too many are named with the statement that mends them, and mended by it', async () => {
  await withClient(at.ownerUrl, async (client) => {
    expect(await rightsToMend(client)).toEqual([])
    await client.query('begin')
    await client.query('revoke select on care.party from maristan_console_read; grant truncate on care.edge to maristan_console')
    const statements = await rightsToMend(client)
    expect(statements).toEqual(['revoke truncate on care.edge from maristan_console', 'grant select on care.party to maristan_console_read'])
    for (const statement of statements) await client.query(statement)
    expect(await rightsToMend(client)).toEqual([])
    await client.query('rollback')
  })
})

test('a Postgres that is too old is named', async () => {
  const problems = await withClient(at.ownerUrl, (client) => inspectLogins(client, 990_000))
  expect(problems).toEqual([expect.stringMatching(/^Postgres \d\d is too old: use 99 or newer\.$/)])
})

test('every exception says why', () => {
  for (const { reason, object } of exceptions) expect(reason.length, object).toBeGreaterThan(30)
})

const wards = `create schema ward; create table ward.bed (tenant_id uuid not null, id uuid not null, primary key (tenant_id, id));
  alter table ward.bed enable row level security; alter table ward.bed force row level security;
  create policy tenant on ward.bed using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);`

/** A rule, and each planted breach with exactly what must be found. */
const planted: Readonly<Record<string, readonly (readonly [sql: string, ...found: string[]])[]>> = {
  'tenant-column': [
    [
      `${wards} alter table ward.bed drop constraint bed_pkey, alter column tenant_id drop not null`,
      'tenant-column: ward.bed',
      'primary-key: ward.bed',
    ],
    [
      `${wards} drop policy tenant on ward.bed; alter table ward.bed alter column tenant_id type text`,
      'tenant-column: ward.bed',
      'tenant-policy: ward.bed',
    ],
  ],
  'primary-key': [
    [
      `${wards} alter table ward.bed drop constraint bed_pkey, add primary key (id, tenant_id)`,
      'primary-key: ward.bed',
      'unique-index: ward.bed bed_pkey',
    ],
  ],
  'row-security': [
    ['alter table care.edge disable row level security', 'row-security: care.edge'],
    ['alter table care.edge no force row level security', 'row-security: care.edge'],
  ],
  'tenant-policy': [
    ['drop policy tenant on care.consent', 'tenant-policy: care.consent'],
    ['alter policy tenant on care.consent with check (true)', 'tenant-policy: care.consent'],
    ['alter policy tenant on care.consent using (true)', 'tenant-policy: care.consent'],
    ['alter policy tenant on care.consent to maristan_console', 'tenant-policy: care.consent'],
    [
      `drop policy tenant on care.consent; create policy tenant on care.consent using (tenant_id = current_setting('app.tenant_id')::uuid)
      with check (tenant_id = current_setting('app.tenant_id')::uuid)`,
      'tenant-policy: care.consent',
    ],
  ],
  'other-policy': [
    ['create policy guests on care.edge for select to maristan_seller using (true)', 'other-policy: care.edge guests to maristan_seller'],
    [
      'alter policy gate on tenancy.tenant to public',
      'other-policy: tenancy.tenant gate to public',
      'stale-exception: tenancy.tenant gate to maristan_gate',
    ],
  ],
  'unique-index': [
    ['create unique index taken on identity.identity (email)', 'unique-index: identity.identity taken'],
    ['create unique index taken on identity.identity (lower(email), tenant_id)', 'unique-index: identity.identity taken'],
    ['alter table care.party add exclude using btree (id with =)', 'unique-index: care.party party_id_excl'],
  ],
  'foreign-key': [
    ['alter table care.consent add constraint far foreign key (tenant_id) references tenancy.tenant', 'foreign-key: care.consent far'],
    [
      `create unique index whole on care.party (id); alter table care.edge add constraint loose foreign key (from_party_id) references care.party (id)`,
      'unique-index: care.party whole',
      'foreign-key: care.edge loose',
    ],
    [
      `alter table care.edge add constraint resets foreign key (tenant_id, from_party_id) references care.party on delete set null`,
      'foreign-key: care.edge resets',
    ],
  ],
  view: [['create view care.names as select * from care.party', 'view: care.names']],
  'materialised-view': [
    [
      'create materialized view care.frozen as select * from care.party; grant select on care.frozen to maristan_console_read',
      'materialised-view: care.frozen',
    ],
  ],
  sequence: [['create sequence care.counter', 'sequence: care.counter']],
  'definer-function': [
    [
      `create function gate.sneak() returns bigint language sql security definer set search_path = pg_catalog, pg_temp
        as 'select count(*) from care.party'; revoke all on function gate.sneak() from public;
      grant create on schema gate to maristan_gate; alter function gate.sneak() owner to maristan_gate; revoke create on schema gate from maristan_gate`,
      'definer-function: gate.sneak()',
    ],
    ['drop function gate.tenants()', 'stale-exception: gate.tenants()'],
  ],
  'definer-shape': [
    ['alter function gate.tenants() reset search_path', 'definer-shape: gate.tenants()'],
    ['alter function gate.tenants() set search_path = public', 'definer-shape: gate.tenants()'],
    ['alter function gate.tenants() owner to current_user', 'definer-shape: gate.tenants()'],
  ],
  'public-grant': [
    ['grant select on care.party to public', 'public-grant: care.party SELECT'],
    ['grant select (kind) on care.party to public', 'public-grant: care.party.kind SELECT'],
    ['grant usage on schema care to public', 'public-grant: care USAGE'],
    ['grant execute on function gate.tenants() to public', 'public-grant: gate.tenants() EXECUTE'],
    [`create function care.anything() returns int language sql as 'select 1'`, 'public-grant: care.anything() EXECUTE'],
  ],
  'unknown-grantee': [
    ['create role maristan_visitor; grant select on care.party to maristan_visitor', 'unknown-grantee: care.party maristan_visitor'],
  ],
  'excess-privilege': [
    ['grant truncate on care.party to maristan_console', 'excess-privilege: care.party TRUNCATE maristan_console'],
    ['grant select on care.party to maristan_console with grant option', 'excess-privilege: care.party SELECT maristan_console'],
    ['grant create on schema care to maristan_worker', 'excess-privilege: care CREATE maristan_worker'],
  ],
  'column-grant': [['grant select (id) on care.consent to maristan_seller', 'column-grant: care.consent.id maristan_seller']],
  'gate-reach': [['grant select on care.recipient to maristan_gate', 'gate-reach: care.recipient SELECT']],
  'read-login-writes': [
    ['grant update on care.recipient to maristan_clinician_read', 'read-login-writes: care.recipient UPDATE maristan_clinician_read'],
  ],
  'secret-table': [
    ['grant select on identity.credential to maristan_console_read', 'secret-table: identity.credential SELECT maristan_console_read'],
    ['grant select on identity.totp_device to maristan_operator', 'secret-table: identity.totp_device SELECT maristan_operator'],
    ['grant update on identity.session to maristan_console', 'secret-table: identity.session UPDATE maristan_console'],
    [
      `${wards} alter table ward.bed add column door_code_hash text; grant select on ward.bed to maristan_seller`,
      'secret-table: ward.bed SELECT maristan_seller',
    ],
  ],
  'queue-grant': [['grant select on jobs_queue.job to maristan_console', 'queue-grant: jobs_queue.job SELECT maristan_console']],
  'append-only-grant': [['grant update on audit.event to maristan_worker', 'append-only-grant: audit.event UPDATE maristan_worker']],
  'append-only-trigger': [
    ['alter table audit.event disable trigger append_only', 'append-only-trigger: audit.event'],
    [
      'drop trigger append_only on audit.event; create trigger append_only before update or delete on audit.event execute function audit.refuse_change()',
      'append-only-trigger: audit.event',
    ],
  ],
  'default-privilege': [
    ['alter default privileges in schema care grant select on tables to maristan_console', 'default-privilege: care r'],
  ],
  'login-setting': [
    ['alter role maristan_auth reset statement_timeout', 'login-setting: maristan_auth statement_timeout'],
    [`alter role maristan_auth set lock_timeout = 0`, 'login-setting: maristan_auth lock_timeout'],
    [
      'alter role maristan_console_read reset default_transaction_read_only',
      'login-setting: maristan_console_read default_transaction_read_only',
    ],
    [`alter role maristan_auth in database postgres set search_path = public`, 'login-setting: maristan_auth in postgres'],
  ],
}

const cases = Object.entries(planted).flatMap(([rule, plants]) =>
  plants.map(([sql, ...found], i) => ({ name: `${rule} ${i + 1}`, sql, found })),
)

test('every rule has a planted breach', () => {
  expect(Object.keys(planted).sort()).toEqual(rules.map(({ name }) => name).sort())
  for (const [rule, plants] of Object.entries(planted)) {
    for (const [, ...found] of plants)
      expect(
        found.some((one) => one.startsWith(`${rule}:`) || one.startsWith('stale-exception:')),
        rule,
      ).toBe(true)
  }
})

test.each(cases)('a breach of $name is found, for its own reason and no other', async ({ sql, found }) => {
  expect((await withPlanted(sql)).sort()).toEqual([...found].sort())
})

const powers = [
  ['alter role maristan_console bypassrls', 'bypasses Row Level Security'],
  ['alter role maristan_console superuser', 'is a superuser'],
  ['alter role maristan_console createrole', 'may create roles'],
  ['alter role maristan_console replication', 'may replicate'],
  ['grant maristan_auth to maristan_console', 'is a member of maristan_auth'],
  ['alter table care.party owner to maristan_console', 'owns care.party'],
] as const

test.each(powers)('a login with too much power is found: %s', async (sql, reason) => {
  expect((await withPlanted(sql)).filter((one) => one.startsWith('login-power:')).join()).toContain(reason)
})
