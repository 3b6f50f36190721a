/** The tables the SCIM engine's SQL reads, filled from plain resources, and the directories' own login to ask them with. */
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { loginSecret, freshDatabase, type TestDatabase } from './postgres.ts'
import { urlFor } from '../../src/platform/db/logins.ts'
import type { Fragment, GroupColumns, ResourceName, UserColumns } from '../../src/modules/federation/scim/engine.ts'
import { compileFilter } from '../../src/modules/federation/scim/filter/compile.ts'

export interface ScimTables {
  readonly at: TestDatabase
  readonly tenantId: string
  readonly connectionId: string
  /** As a login that owns nothing, inside the tenant. */
  ask<Row extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<Row[]>
  addUsers(
    users: readonly UserColumns[],
    times?: { readonly createdAt: string; readonly updatedAt: string },
    ids?: readonly string[],
  ): Promise<string[]>
  addGroup(group: GroupColumns, memberIds: readonly string[], id?: string): Promise<string>
  /** Ids of the rows a filter finds, in the order of ids. */
  find(filter: string, resource?: ResourceName): Promise<string[]>
  close(): Promise<void>
}

/** A fragment as text with numbered parameters, after `values` that come before it. */
export function numbered(
  fragment: Fragment,
  before: readonly unknown[] = [],
): { readonly text: string; readonly values: readonly unknown[] } {
  const text = fragment.strings.reduce((sum, string, at) => `${sum}$${before.length + at}${string}`)
  return { text, values: [...before, ...fragment.values] }
}

/** A connection of a tenant; more than one tell that a filter stays inside its own. */
export async function newConnection(at: TestDatabase, tenantId: string): Promise<string> {
  const id = randomUUID()
  await at.owner(`insert into scim.connection (tenant_id, id, name) values ($1, $2, $3)`, [tenantId, id, `directory ${id}`])
  return id
}

export async function scimTables(): Promise<ScimTables> {
  const at = await freshDatabase()
  const tenantId = randomUUID()
  const connectionId = await newConnection(at, tenantId)
  const client = new pg.Client({ connectionString: urlFor('maristan_directory', at.ownerUrl, loginSecret()) })
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
        `insert into scim."user"
           (tenant_id, id, connection_id, user_name, user_name_key, external_id, active, attributes, search, created_at, updated_at)
         select $1, (r->>'id')::uuid, $2, r->>'userName', r->>'userNameKey', r->>'externalId', (r->>'active')::boolean,
           r->'attributes', r->'search', $4, $5
         from jsonb_array_elements($3::jsonb) r`,
        [tenantId, connectionId, JSON.stringify(rows), times.createdAt, times.updatedAt],
      )
      await ask(
        `insert into scim.user_value (tenant_id, connection_id, user_id, path, key)
         select $1, $2, (r->>'id')::uuid, v->>'path', v->>'key'
         from jsonb_array_elements($3::jsonb) r, jsonb_array_elements(r->'values') v`,
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
      await ask(`insert into scim.group_member (tenant_id, connection_id, group_id, user_id) select $1, $2, $3, unnest($4::uuid[])`, [
        tenantId,
        connectionId,
        id,
        memberIds,
      ])
      return id
    },
    async find(filter, resource = 'User') {
      const { text, values } = numbered(compileFilter(filter, resource, { tenantId, connectionId }), [tenantId, connectionId])
      const rows = await ask(
        `select r.id from scim."${resource.toLowerCase()}" r
         where r.tenant_id = $1::uuid and r.connection_id = $2::uuid and ${text} order by r.id`,
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
