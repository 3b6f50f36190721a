/**
 * The tables the SCIM engine's SQL reads, filled from plain resources, and a login without ownership to ask them. Where no migration has
 * made them yet they are made here, with the columns that filters read and the walls every tenant table has.
 */
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { loginSecret, freshDatabase, type TestDatabase } from './postgres.ts'
import { urlFor } from '../../src/platform/db/logins.ts'
import type { Fragment, GroupColumns, ResourceName, UserColumns } from '../../src/modules/federation/scim/engine.ts'
import { compileFilter } from '../../src/modules/federation/scim/filter/compile.ts'

const tables = `
  create schema scim;
  create table scim."user" (
    tenant_id uuid not null, id uuid not null, connection_id uuid not null, user_name text not null,
    user_name_key text collate "C" not null, external_id text collate "C", active boolean not null, attributes jsonb not null,
    search jsonb not null, version int not null default 1, created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(), primary key (tenant_id, id));
  create unique index on scim."user" (tenant_id, connection_id, user_name_key);
  create index on scim."user" (tenant_id, connection_id, external_id);
  create table scim.user_value (
    tenant_id uuid not null, connection_id uuid not null, user_id uuid not null, path text collate "C" not null,
    key text collate "C" not null, primary key (tenant_id, user_id, path, key));
  create index on scim.user_value (tenant_id, connection_id, path, key) include (user_id);
  create table scim."group" (
    tenant_id uuid not null, id uuid not null, connection_id uuid not null, display_name text not null,
    display_name_key text collate "C" not null, external_id text collate "C", attributes jsonb not null, search jsonb not null,
    version int not null default 1, created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
    primary key (tenant_id, id));
  create table scim.group_member (tenant_id uuid not null, group_id uuid not null, user_id uuid not null, primary key (tenant_id, group_id, user_id));
  create index on scim.group_member (tenant_id, user_id);
  grant usage on schema scim to maristan_auth;
  grant select, insert, update, delete on all tables in schema scim to maristan_auth;
  do $$ declare t text; begin
    foreach t in array array['user', 'user_value', 'group', 'group_member'] loop
      execute format('alter table scim.%I enable row level security', t);
      execute format('alter table scim.%I force row level security', t);
      execute format('create policy tenant on scim.%I using (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid) '
        'with check (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', t);
    end loop;
  end $$;`

export interface ScimTables {
  readonly at: TestDatabase
  readonly tenantId: string
  readonly connectionId: string
  /** As a login that owns nothing, inside the tenant. */
  ask<Row extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<Row[]>
  addUsers(users: readonly UserColumns[], times?: { readonly createdAt: string; readonly updatedAt: string }, ids?: readonly string[]): Promise<string[]>
  addGroup(group: GroupColumns, memberIds: readonly string[], id?: string): Promise<string>
  /** Ids of the rows a filter finds, in the order of ids. */
  find(filter: string, resource?: ResourceName): Promise<string[]>
  close(): Promise<void>
}

/** A fragment as text with numbered parameters, after `values` that come before it. */
export function numbered(fragment: Fragment, before: readonly unknown[] = []): { readonly text: string; readonly values: readonly unknown[] } {
  const text = fragment.strings.reduce((sum, string, at) => `${sum}$${before.length + at}${string}`)
  return { text, values: [...before, ...fragment.values] }
}

export async function scimTables(): Promise<ScimTables> {
  const at = await freshDatabase()
  const [found] = await at.owner<{ there: boolean }>(`select to_regclass('scim."user"') is not null as there`)
  if (!found!.there) await at.owner(tables)
  const tenantId = randomUUID()
  const connectionId = randomUUID()
  const client = new pg.Client({ connectionString: urlFor('maristan_auth', at.ownerUrl, loginSecret()) })
  await client.connect()
  await client.query(`select set_config('app.tenant_id', $1, false)`, [tenantId])
  const ask = async (sql: string, values: readonly unknown[] = []) => (await client.query(sql, [...values])).rows

  return {
    at,
    tenantId,
    connectionId,
    ask: ask as ScimTables['ask'],
    async addUsers(users, times = { createdAt: '2026-01-01T00:00:00.000Z', updatedAt: '2026-01-01T00:00:00.000Z' }, given) {
      const ids = users.map((_, index) => given?.[index] ?? randomUUID())
      const rows = users.map((user, index) => ({ ...user, id: ids[index] }))
      await ask(
        `insert into scim."user" (tenant_id, id, connection_id, user_name, user_name_key, external_id, active, attributes, search, created_at, updated_at)
         select $1, (r->>'id')::uuid, $2, r->>'userName', r->>'userNameKey', r->>'externalId', (r->>'active')::boolean, r->'attributes', r->'search', $4, $5
         from jsonb_array_elements($3::jsonb) r`,
        [tenantId, connectionId, JSON.stringify(rows), times.createdAt, times.updatedAt],
      )
      await ask(
        `insert into scim.user_value (tenant_id, connection_id, user_id, path, key)
         select $1, $2, (r->>'id')::uuid, v->>'path', v->>'key' from jsonb_array_elements($3::jsonb) r, jsonb_array_elements(r->'values') v`,
        [tenantId, connectionId, JSON.stringify(rows)],
      )
      return ids
    },
    async addGroup(group, memberIds, id = randomUUID()) {
      await ask(
        `insert into scim."group" (tenant_id, id, connection_id, display_name, display_name_key, external_id, attributes, search)
         values ($1, $2, $3, $4, $5, $6, $7, $8)`,
        [tenantId, id, connectionId, group.displayName, group.displayNameKey, group.externalId, group.attributes, group.search],
      )
      await ask(`insert into scim.group_member (tenant_id, group_id, user_id) select $1, $2, unnest($3::uuid[])`, [tenantId, id, memberIds])
      return id
    },
    async find(filter, resource = 'User') {
      const { text, values } = numbered(compileFilter(filter, resource, { tenantId, connectionId }), [tenantId, connectionId])
      const rows = await ask(
        `select r.id from scim."${resource.toLowerCase()}" r where r.tenant_id = $1::uuid and r.connection_id = $2::uuid and ${text} order by r.id`,
        values,
      )
      return rows.map((row) => String(row['id']))
    },
    async close() {
      await client.end()
      await at.drop()
    },
  }
}
