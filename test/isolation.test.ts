/** The proof of isolation proves this building, finds what is planted in a leaking one, and leaves nothing behind. */
import { GraphQLID, GraphQLNonNull, GraphQLObjectType, GraphQLSchema, GraphQLString, type GraphQLFieldConfig } from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Composed } from '../src/platform/compose.ts'
import type { Context } from '../src/platform/graphql/context.ts'
import { decodeGlobalId } from '../src/platform/graphql/global-id.ts'
import type { Route } from '../src/platform/http/router.ts'
import { planes } from '../src/kernel/scope.ts'
import { proveFields, proveRoutes, proveTables, type IsolationReport } from '../src/proof/isolation.ts'
import { rootFields } from '../src/proof/graph-shape.ts'
import { ProofBroken, RolledBackGround } from '../src/proof/ground.ts'
import { done, environmentOver, run } from './kit/command-line.ts'
import { freshHouse, type TestHouse } from './kit/house.ts'
import { freshDatabase, type TestDatabase } from './kit/postgres.ts'

let house: TestHouse
beforeAll(async () => {
  house = await freshHouse()
})
afterAll(() => house.close())

/** For the command line beside the running house. */
const environmentOf = ({ at, dataDir }: TestHouse) => environmentOver(at, dataDir)

const rowsOf = (at: TestDatabase) =>
  at.owner<{ name: string; rows: string }>(`select n.nspname || '.' || c.relname as name,
    (xpath('/row/n/text()', query_to_xml(format('select count(*) as n from %I.%I', n.nspname, c.relname), false, true, '')))[1]::text as rows
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^pg_|^information_schema' order by 1`)

/** The actions in the audit trail, the oldest first. */
const linesOf = async (at: TestDatabase) => (await at.owner<{ action: string }>('select action from audit.event order by at, id')).map(({ action }) => action)

describe('the building', () => {
  test(
    'every table, field and route is attacked, nothing leaks, nothing is left unproven, and nothing is left behind',
    { timeout: 600_000 },
    async () => {
      const [before, linesBefore] = [await rowsOf(house.at), await linesOf(house.at)]
      const report = (await done(environmentOf(house), ['isolation', 'prove'])) as IsolationReport
      expect(report.leaks).toEqual([])
      expect(report.unproven).toEqual([])
      const [{ many }] = (await house.at.owner<{ many: number }>(
        `select count(*)::int as many from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' join pg_namespace n on n.oid = c.relnamespace
       where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^pg_|^information_schema'`,
      )) as [{ many: number }]
      expect(report.tables).toBe(many)
      const roots = planes.flatMap((plane) => {
        const schema = house.composed.schemas.plane[plane]
        return rootFields(schema).map(({ field }) => field.name)
      })
      expect(report.fields).toBeGreaterThanOrEqual(roots.length)
      // The planes' endpoints, `/session`, the pages of two letters, SCIM's paths and SAML's.
      expect(report.routes).toBe(planes.length + 5)
      expect(report.attacks).toBeGreaterThan(report.tables * 2 + report.fields)
      expect(report.controls).toBeGreaterThan(report.tables + roots.length)
      for (const one of report.exempt) expect(one).toMatch(/: [A-Z].+\.$/)
      // That a process opened the keys stands in the trail; of what was proven, nothing is left anywhere.
      const lines = (await linesOf(house.at)).slice(linesBefore.length)
      expect(lines.sort()).toEqual(['checkpoint_key.opened', 'platform_key.opened', 'signing_keys.opened'])
      const others = (rows: typeof before) => rows.filter(({ name }) => name !== 'audit.event')
      expect(others(await rowsOf(house.at))).toEqual(others(before))
    },
  )

  test("without the owner's connection nothing counts as proven", async () => {
    const { code, document } = await run({ ...environmentOf(house), DATABASE_OWNER_URL: '' }, ['isolation', 'prove'])
    expect(code).toBe(1)
    expect(document).toMatchObject({ attacks: 0, controls: 0, leaks: [] })
    expect(document['unproven']).toHaveLength(1)
  })
})

describe('a planted leak in a table is found', () => {
  const leaks: readonly (readonly [what: string, sql: string, found: RegExp])[] = [
    [
      'another permissive policy',
      'create policy guests on care.party for select to maristan_console_read using (true)',
      /^SELECT as maristan_console_read on care\.party/,
    ],
    [
      'a tenant policy that checks nothing written',
      'alter policy tenant on identity.identity with check (true)',
      /^INSERT as maristan_auth on identity\.identity/,
    ],
    [
      'Row Level Security switched off',
      'alter table outbox.event disable row level security',
      /^DELETE as maristan_worker on outbox\.event/,
    ],
    [
      'a row that may be pushed over',
      'create policy guests on care.consent to maristan_console using (true) with check (true)',
      /^UPDATE of tenant_id as maristan_console on care\.consent/,
    ],
    [
      'a reference to a row of anybody',
      `alter table care.consent drop constraint consent_tenant_id_recipient_id_fkey;
      create unique index whole on care.recipient (id); alter table care.consent add constraint loose foreign key (recipient_id) references care.recipient (id)`,
      /referred to another tenant's row \(loose\)/,
    ],
  ]
  /** Each on a table, or a statement, of its own, so that one proof over all of them names each by itself. */
  const reports = new Map<string, Promise<readonly string[]>>()
  const prove = async (sql: string): Promise<readonly string[]> => {
    const at = await freshDatabase()
    try {
      await at.owner(sql)
      return (await proveTables(at.ownerUrl)).findings.leaks
    } finally {
      await at.drop()
    }
  }
  const leaksWith = (sql: string): Promise<readonly string[]> => {
    // An index that is unique over all tenants gets in the way of other attacks: it is planted alone.
    const planted = sql.includes('unique index') ? sql : leaks.map(([, one]) => one).filter((one) => !one.includes('unique index')).join('; ')
    const known = reports.get(planted) ?? prove(planted)
    reports.set(planted, known)
    return known
  }
  test.each(leaks)('%s', { timeout: 120_000 }, async (_, sql, found) => {
    const named = await leaksWith(sql)
    expect(named.filter((leak) => found.test(leak)).length, named.join('\n')).toBeGreaterThan(0)
  })

  test('a table whose own tenant cannot reach it, and a reference that something else refuses, are unproven, not clean', { timeout: 120_000 }, async () => {
    const at = await freshDatabase()
    try {
      await at.owner(
        'drop policy tenant on care.consent; create table care.bare (tenant_id uuid not null, id uuid not null, primary key (tenant_id, id))',
      )
      await at.owner(`create function care.in_the_way() returns trigger language plpgsql security definer as $$ begin
          perform from care.recipient r where (r.tenant_id, r.id) = (new.tenant_id, new.recipient_id);
          if not found then raise exception 'refused before the key is looked at'; end if;
          return new;
        end $$;
        create trigger in_the_way before insert on care.disclosure_grant for each row execute function care.in_the_way()`)
      const { findings } = await proveTables(at.ownerUrl)
      expect(findings.leaks).toEqual([])
      expect(findings.unproven.some((one) => one.includes('maristan_console on care.consent'))).toBe(true)
      expect(findings.unproven.some((one) => one.startsWith('care.bare:'))).toBe(true)
      expect(findings.unproven.filter((one) => /on care\.disclosure_grant: .*recipient_id.*refused for another reason/.test(one))).not.toEqual([])
    } finally {
      await at.drop()
    }
  })
})

test('a ground that gives way fails the proof: nothing that is refused on it counts as a wall', async () => {
  const ground = await RolledBackGround.open(house.at.ownerUrl)
  const nobody = { tenantId: '', membershipId: null, role: null, providerOrgId: null }
  const ask = (text: string) => ground.run('owner', nobody, text, [], false)
  expect([await ask('select 1 as one'), (await ask('select 1 / 0')).ok, (await ask('select 1')).ok]).toMatchObject([{ ok: true, rows: [{ one: 1 }] }, false, true])
  await ground.alone(async () => ground.later('release nothing_of_that_name'))
  for (const text of ['select 1', 'select 2']) await expect(ask(text)).rejects.toThrow(ProofBroken)
  await expect(ground.close()).rejects.toThrow(ProofBroken)
})

describe('a planted leak in a field is found', () => {
  /** A house whose every plane has this one field. */
  const houseOf = (kind: 'query' | 'mutation', field: GraphQLFieldConfig<unknown, Context>): Composed => {
    const marked = { ...field, extensions: { access: 'authenticated' } }
    const root = new GraphQLObjectType({ name: kind === 'query' ? 'Query' : 'Mutation', fields: { planted: marked } })
    const empty = new GraphQLObjectType({
      name: 'Query',
      fields: {
        nothing: {
          type: GraphQLString,
          extensions: { access: 'authenticated' },
          resolve: (_, __, context: Context) => context.caller.tenantId,
        },
      },
    })
    const schema = new GraphQLSchema(kind === 'query' ? { query: root } : { query: empty, mutation: root })
    return {
      ...house.composed,
      schemas: {
        ...house.composed.schemas,
        plane: Object.fromEntries(planes.map((plane) => [plane, schema])) as Composed['schemas']['plane'],
      },
    }
  }
  const leaking = async (sql: string, field: Composed) => {
    const at = await freshDatabase()
    try {
      await at.owner(sql)
      return (await proveFields(at.ownerUrl, field)).findings
    } finally {
      await at.drop()
    }
  }
  // Named after what it takes: a place that says nothing is tried with the first rows only.
  const args = { membershipId: { type: new GraphQLNonNull(GraphQLID) } }
  const open =
    'create policy open on identity.membership using (true) with check (true); drop policy actor on identity.membership; drop policy actor_org on identity.membership; grant update on identity.membership to maristan_console'
  const planted = (kind: 'query' | 'mutation', resolve: (id: string, context: Context) => Promise<string | null>) =>
    houseOf(kind, { type: GraphQLString, args, resolve: (_, { membershipId }, context) => resolve(decodeGlobalId(String(membershipId)).id, context) })

  test('a resolver that forgets the tenant, over a wall that is open', { timeout: 120_000 }, async () => {
    const find = (id: string, context: Context) =>
      id === ''
        ? Promise.resolve(null)
        : context.unit.db.membership.findFirst({ where: { id }, select: { role: true } }).then((row) => row?.role ?? null)
    const findings = await leaking(open, planted('query', find))
    expect(findings.leaks.some((leak) => leak.includes('Query.planted on console') && leak.includes('unlike a random id'))).toBe(true)
  })

  test('the same resolver behind the wall leaks nothing', { timeout: 120_000 }, async () => {
    const find = (id: string, context: Context) =>
      id === ''
        ? Promise.resolve(null)
        : context.unit.db.membership.findFirst({ where: { id }, select: { role: true } }).then((row) => row?.role ?? null)
    const findings = await leaking('select 1', planted('query', find))
    expect(findings.leaks).toEqual([])
    expect(findings.controls).toBeGreaterThan(0)
  })

  test("a mutation that changes another tenant's row and answers as if it had not", { timeout: 120_000 }, async () => {
    const change = (id: string, context: Context) =>
      context.unit.command(async (scope) => {
        scope.unit.record({ action: 'wall.tried', resource: 'Membership', outcome: 'done' })
        const changed = await context.unit.db.$queryRawUnsafe<{ tenant: string }[]>(
          'update identity.membership set version = version + 1 where id = $1::uuid returning tenant_id::text as tenant',
          id || null,
        )
        return changed[0]?.tenant === scope.tenantId ? 'done' : null
      })
    const findings = await leaking(open, planted('mutation', change))
    expect(findings.leaks).toContain('Mutation.planted on console, membershipId of another tenant: rows of the other tenant changed.')
  })
})

test('a planted leak in a route is found, and a route that nothing attacks is unproven', { timeout: 120_000 }, async () => {
  const careless: Route = {
    method: 'GET',
    path: '/session',
    name: 'session',
    handle: (_request, response) => void response.writeHead(200).end('{"tenant":"whoever asks"}'),
  }
  const forgotten: Route = { ...careless, path: '/forgotten', name: 'forgotten' }
  const alter = (routes: readonly Route[]) => [...routes.filter(({ path }) => path !== '/session' && path !== '/healthz'), careless, forgotten]
  const { findings } = await proveRoutes(house.at.ownerUrl, house.composed, () => {}, alter)
  expect(new Set(findings.leaks.map((leak) => leak.split(' with ')[0]))).toEqual(new Set(['/session']))
  expect(findings.unproven).toEqual(['GET /forgotten: no attack on this route is built.', 'GET /healthz: the server has no such route.'])
})
