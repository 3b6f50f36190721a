/** Connections that break, hang, are reused or run out: no tenant ever meets what another left behind, and the next statement works. */
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Fault } from '../src/kernel/fault.ts'
import { newId } from '../src/kernel/id.ts'
import { noTenant, type Caller } from '../src/kernel/scope.ts'
import { Database, type DatabaseOptions } from '../src/platform/db/database.ts'
import { withClient } from '../src/platform/db/provision.ts'
import type { Unit } from '../src/platform/db/unit.ts'
import { freshDatabase, loginSecret, type TestDatabase } from './kit/postgres.ts'
import { startProxy, type Proxy } from './kit/proxy.ts'

let at: TestDatabase
const open: { close(): Promise<void> }[] = []
const tenants = [newId(), newId()] as const

beforeAll(async () => {
  at = await freshDatabase()
  for (const [i, tenantId] of tenants.entries()) {
    await at.owner('insert into tenancy.tenant (tenant_id, slug, legal_name) values ($1, $2, $2)', [tenantId, `ward-${i}`])
    await at.owner('insert into identity.identity (tenant_id, id, email) values ($1, $2, $3)', [tenantId, newId(), `one@ward-${i}.test`])
  }
})
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})
afterAll(() => at.drop())

function house(options: Partial<DatabaseOptions> = {}): Database {
  const database = new Database({
    url: at.ownerUrl,
    loginSecret: loginSecret(),
    preparedStatements: true,
    readConnections: 1,
    writeConnections: 1,
    ...options,
  })
  open.push(database)
  return database
}

const member = (tenantId: string, role = 'tenant_admin'): Caller => ({
  tenantId,
  plane: 'console',
  actor: { kind: 'member', membershipId: newId(), identityId: newId(), role, sessionId: newId(), via: 'password', providerOrgId: null },
  permissions: new Set(),
  purpose: null,
  requestId: 'walls',
  sourceAddress: null,
  userAgent: null,
})

const sql = <Row>(unit: Unit, text: string, ...values: unknown[]) => unit.db.$queryRawUnsafe<Row[]>(text, ...values)
const read = <Row>(database: Database, tenantId: string, text: string, ...values: unknown[]) => {
  const unit = database.unit(member(tenantId))
  return unit.read(() => sql<Row>(unit, text, ...values))
}
const write = <Row>(database: Database, tenantId: string, text: string, ...values: unknown[]) => {
  const unit = database.unit(member(tenantId))
  return unit.command(async (scope) => {
    const rows = await sql<Row>(unit, text, ...values)
    scope.unit.record({ action: 'wall.tried', resource: 'Wall', outcome: 'done' })
    return rows
  })
}
const emails = 'select email from identity.identity'
const codeOf = (error: unknown) => (error instanceof Fault ? error.code : String(error))
const backend = 'select pg_backend_pid() as pid'

/** Waits until the condition that `question` asks the owner for is true. */
async function until(question: string, values: unknown[] = []): Promise<void> {
  for (let asked = 0; asked < 500; asked++) {
    if ((await at.owner<{ ok: boolean }>(question, values))[0]!.ok) return
  }
  throw new Error(`It did not come true: ${question}`)
}
const noneInTransaction = `select count(*) = 0 as ok from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'`

describe('settings', () => {
  test("whatever text a caller's facts hold, it stays a value: the tenant in force is the caller's", async () => {
    const database = house()
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.constantFrom(
        `',true),set_config('app.tenant_id','${tenants[1]}',true)--`,
        '$1',
        '\\',
        `'; set app.tenant_id = '${tenants[1]}`,
        '%s',
        '\u0000',
      ),
    )
    await fc.assert(
      fc.asyncProperty(text, text, async (role, argument) => {
        const unit = database.unit(member(tenants[0], role))
        const answer = await unit
          .read(() =>
            sql<Record<string, string>>(
              unit,
              `select current_setting('app.tenant_id', true) as tenant, current_setting('app.role', true) as role,
            (select string_agg(email, ',') from identity.identity) as seen, $1 as echo`,
              argument,
            ),
          )
          .catch((error: unknown) => error)
        if (answer instanceof Error) {
          // Postgres holds no NUL and no half of a surrogate pair; nothing else may fail.
          expect(/\0|\p{Cs}/u.test(role + argument), answer.message).toBe(true)
        } else expect((answer as object[])[0]).toEqual({ tenant: tenants[0], role, seen: 'one@ward-0.test', echo: argument })
      }),
      { numRuns: 100 },
    )
    expect(await read(database, tenants[1], emails)).toEqual([{ email: 'one@ward-1.test' }])
  })

  test.each([true, false])(
    'a session-wide setting that a statement left behind is overruled by the next one (prepared statements: %s)',
    async (preparedStatements) => {
      const database = house({ preparedStatements })
      for (const run of [read, write]) {
        await run(
          database,
          tenants[1],
          `select set_config('app.tenant_id', $1, false), set_config('app.role', 'care_coordinator', false)`,
          tenants[1],
        )
        const [pid] = await run<{ pid: number }>(database, tenants[0], backend)
        expect(await run(database, tenants[0], emails)).toEqual([{ email: 'one@ward-0.test' }])
        expect(
          await run(database, noTenant, 'select count(*)::int as seen from identity.identity').catch((error: unknown) => [
            { seen: codeOf(error) },
          ]),
        ).toEqual([{ seen: 0 }])
        expect((await run<{ pid: number }>(database, tenants[1], backend))[0]).toEqual(pid)
      }
    },
  )

  test('with prepared statements off nothing is remembered on a connection, with them on something is', async () => {
    for (const preparedStatements of [true, false]) {
      const database = house({ preparedStatements })
      for (const run of [read, write]) {
        await run(database, tenants[0], emails)
        await run(database, tenants[0], emails)
        const [{ many }] = (await run<{ many: number }>(
          database,
          tenants[0],
          'select count(*)::int as many from pg_prepared_statements',
        )) as [{ many: number }]
        expect(many > 0, `${preparedStatements}`).toBe(preparedStatements)
      }
    }
  })
})

describe('reuse', () => {
  test('an aborted transaction leaves a clean connection behind', async () => {
    const database = house()
    const [before] = await write<{ pid: number }>(database, tenants[0], backend)
    await expect(write(database, tenants[0], 'select 1 / (select 0)')).rejects.toThrow()
    await expect(
      write(
        database,
        tenants[1],
        `insert into identity.identity (tenant_id, id, email) values ($1::uuid, $1::uuid, 'x') returning email`,
        tenants[0],
      ),
    ).rejects.toThrow()
    expect(await write(database, tenants[1], emails)).toEqual([{ email: 'one@ward-1.test' }])
    expect((await write<{ pid: number }>(database, tenants[0], backend))[0]).toEqual(before)
    await until(noneInTransaction)
  })

  test('a prepared statement whose result changed its shape is prepared again', async () => {
    const database = house()
    const whole = 'select * from tenancy.tenant'
    expect(Object.keys((await read<object>(database, tenants[0], whole))[0]!)).not.toContain('motto')
    await at.owner(`alter table tenancy.tenant add column motto text default 'shelter'`)
    try {
      expect((await read<{ motto: string }>(database, tenants[0], whole))[0]!.motto).toBe('shelter')
    } finally {
      await at.owner('alter table tenancy.tenant drop column motto')
    }
    expect(Object.keys((await read<object>(database, tenants[0], whole))[0]!)).not.toContain('motto')
  })

  test('a statement that takes too long is TIMED_OUT, and the connection serves the next', async () => {
    const database = house()
    const unit = database.unit(member(tenants[0]))
    const slow = unit.command(async () => {
      await unit.db.$executeRawUnsafe(`set local statement_timeout = '30ms'`)
      await unit.db.$queryRawUnsafe('select 1 from pg_sleep(20)')
    })
    expect(codeOf(await slow.catch((error: unknown) => error))).toBe('TIMED_OUT')
    expect(await write(database, tenants[1], emails)).toEqual([{ email: 'one@ward-1.test' }])
  })
})

describe('broken connections', () => {
  test.each([
    ['reads', read],
    ['commands', write],
  ] as const)('a killed connection costs %s at most one typed answer', async (_, run) => {
    const database = house()
    for (let round = 0; round < 3; round++) {
      const [{ pid }] = (await run<{ pid: number }>(database, tenants[0], backend)) as [{ pid: number }]
      await at.owner('select pg_terminate_backend($1)', [pid])
      await until('select count(*) = 0 as ok from pg_stat_activity where pid = $1', [pid])
      const first = await run(database, tenants[1], emails).catch(codeOf)
      expect([[{ email: 'one@ward-1.test' }], 'DATABASE_UNAVAILABLE']).toContainEqual(first)
      expect(await run(database, tenants[1], emails)).toEqual([{ email: 'one@ward-1.test' }])
    }
  })

  const through = async (): Promise<{ proxy: Proxy; database: Database }> => {
    const proxy = await startProxy(at.ownerUrl)
    open.push(proxy)
    return { proxy, database: house({ url: proxy.url }) }
  }
  const tell = 'update tenancy.tenant set timezone = $1 returning timezone'
  const timezone = async () =>
    (await at.owner<{ timezone: string }>('select timezone from tenancy.tenant where tenant_id = $1', [tenants[0]]))[0]!.timezone

  test.each(['BEGIN', 'COMMIT'])('a %s that arrives late is waited for', async (word) => {
    const { proxy, database } = await through()
    await write(database, tenants[0], emails)
    const caught = proxy.hold(word)
    const done = write(database, tenants[0], tell, `Late/${word}`)
    await caught
    expect(await timezone()).not.toBe(`Late/${word}`)
    proxy.release()
    expect(await done).toEqual([{ timezone: `Late/${word}` }])
    expect(await timezone()).toBe(`Late/${word}`)
    await until(noneInTransaction)
  })

  test.each(['BEGIN', 'COMMIT'])(
    'a %s that never arrives changes nothing, leaves no open transaction, and the next command works',
    async (word) => {
      const { proxy, database } = await through()
      await write(database, tenants[0], emails)
      const before = await timezone()
      const caught = proxy.hold(word)
      const done = write(database, tenants[0], tell, `Lost/${word}`).catch(codeOf)
      await caught
      proxy.cut()
      expect(await done).toBe('DATABASE_UNAVAILABLE')
      await until(noneInTransaction)
      expect(await timezone()).toBe(before)
      expect(await write(database, tenants[1], emails)).toEqual([{ email: 'one@ward-1.test' }])
    },
  )
})

describe('exhaustion', () => {
  test('more commands than the pool lets wait are OVERLOADED; those that waited are served, each its own tenant', async () => {
    const database = house()
    const holder = database.unit(member(tenants[0]))
    let release = () => {}
    const held = new Promise<void>((resolve) => (release = resolve))
    const holding = Promise.withResolvers<void>()
    const first = holder.command(async (scope) => {
      await sql(holder, emails)
      scope.unit.record({ action: 'wall.tried', resource: 'Wall', outcome: 'done' })
      holding.resolve()
      await held
    })
    await holding.promise
    const answers = Array.from({ length: 270 }, (_, i) => write(database, tenants[i % 2]!, emails).catch(codeOf))
    const soonest = await Promise.race(answers)
    release()
    await first
    const all = await Promise.all(answers)
    expect(soonest).toBe('OVERLOADED')
    expect(all.filter((answer) => answer === 'OVERLOADED')).toHaveLength(270 - 256)
    all.forEach((answer, i) => {
      if (answer !== 'OVERLOADED') expect(answer).toEqual([{ email: `one@ward-${i % 2}.test` }])
    })
  })

  test('more reads than a line carries are OVERLOADED; those in flight are answered, each its own tenant', async () => {
    const database = house()
    await read(database, tenants[0], emails)
    const lock = 'select pg_advisory_xact_lock(4712)'
    const gate = Promise.withResolvers<void>()
    const locked = Promise.withResolvers<void>()
    const holding = withClient(at.ownerUrl, async (client) => {
      await client.query(`begin; ${lock}`)
      locked.resolve()
      await gate.promise
    })
    await locked.promise
    const slow = read(database, tenants[0], `${lock}::text`).catch(codeOf)
    const asked = Array.from({ length: 600 }, (_, i) => read(database, tenants[i % 2]!, emails).catch(codeOf))
    const soonest = await Promise.race(asked)
    gate.resolve()
    await Promise.all([holding, slow])
    expect(soonest).toBe('OVERLOADED')
    const answers = await Promise.all(asked)
    answers.forEach((answer, i) => {
      if (answer !== 'OVERLOADED') expect(answer).toEqual([{ email: `one@ward-${i % 2}.test` }])
    })
    expect(await read(database, tenants[1], emails)).toEqual([{ email: 'one@ward-1.test' }])
  })
})
