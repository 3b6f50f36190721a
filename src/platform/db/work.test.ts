/** A unit of work's own SQL against the generated client's: the same values, the same rows, one transaction; and who asks, confirmed within it. */
import { PrismaPg } from '@prisma/adapter-pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { careHouse, planting, type CareHouse } from '../../../test/kit/care.ts'
import { newId } from '../../kernel/id.ts'
import type { Caller } from '../../kernel/scope.ts'
import { isRefusedByWall } from './errors.ts'
import { PrismaClient } from './generated/client.ts'
import { NotConfirmed } from './standing.ts'

let house: CareHouse
let caller: Caller
let client: PrismaClient

beforeAll(async () => {
  house = await careHouse()
  caller = house.member(await house.tenant(), 'care_coordinator')
  client = new PrismaClient({ adapter: new PrismaPg({ connectionString: house.at.ownerUrl, options: '-c timezone=UTC' }) })
})
afterAll(async () => {
  await client.$disconnect()
  await house.close()
})

test('raw SQL takes and answers the values that the generated client does', async () => {
  const at = new Date('2026-11-21T13:20:09.545Z')
  const ask = (by: Pick<PrismaClient, '$queryRaw'>) => by.$queryRaw<object[]>`
    select true as yes, 1::int2 as small, 2::int4 as whole, 9007199254740993::int8 as large, 1.5::float8 as part, 12.340::numeric as exact,
      'x'::text as text, 'ACTIVE'::care.recipient_state as state, ${'0190a0a0-0000-7000-8000-000000000000'}::uuid as id, null::text as nothing,
      ${at}::timestamptz as moment, '0099-01-02 03:04:05.6789'::timestamp as local, '2026-11-21'::date as day, '{"a": [1, null]}'::jsonb as document,
      '\\x00ff'::bytea as bytes, array[true, null] as bools, array[1, null]::int4[] as ints, array[9007199254740993, null]::int8[] as larges,
      ${['a,"b', '', '\\', '{}']}::text[] as texts, array['0190a0a0-0000-7000-8000-000000000000'::uuid, null] as ids,
      ${[at]}::timestamptz[] as moments, array['{"b": 1}'::jsonb] as documents, ${[1, 2]}::int4[] as given, ${Buffer.from([0, 255])}::bytea as sent,
      ${9007199254740993n}::int8 as big, ${null}::int4 as none, ${JSON.stringify({ c: 'd' })}::jsonb as written`
  const unit = house.database.unit(caller)
  const [own] = await unit.read(() => ask(unit.db))
  const [theirs] = await ask(client)
  expect(own).toEqual(theirs)
})

test('one row by its key is the row that the generated client finds, of every model, and null where there is none', async () => {
  const unit = house.database.unit(caller)
  const { models } = house.database.storedModels
  await planting(house, caller.tenantId).recipient()
  let compared = 0
  for (const [name, model] of Object.entries(models)) {
    const names = model!.fields.filter(({ kind }) => kind !== 'object').map((field) => field.name)
    if (!names.includes('tenantId') || !names.includes('id')) continue
    const key = (name.charAt(0).toLowerCase() + name.slice(1)) as 'careRecipient'
    const [held] = await house.at.owner<{ id: string }>(`select id from "${model!.schema}"."${model!.dbName}" where tenant_id = $1 limit 1`, [caller.tenantId])
    if (!held) continue
    const where = { tenantId_id: { tenantId: caller.tenantId, id: held.id } }
    // The other look-up of the same moment makes the client answer both.
    const none = { tenantId_id: { tenantId: caller.tenantId, id: newId() } }
    const found = await unit.read(async () => ({
      own: await unit.db[key].findUnique({ where }).catch((error: unknown) => isRefusedByWall(error)),
      theirs: (await Promise.all([unit.db[key].findUnique({ where }), unit.db[key].findUnique({ where: none })]).catch((error: unknown) => [isRefusedByWall(error)]))[0],
    }))
    // Another key than this: the client does not take the question, and nobody asks it.
    if (found.theirs === false) continue
    expect(found.own).toEqual(found.theirs)
    if (typeof found.own === 'object' && found.own !== null) compared++
    const columns = { where, select: { id: true, [names.at(-1)!]: true, [names[0]!]: false } } as never
    await unit.read(async () => {
      const own = await unit.db[key].findUnique(columns).catch(() => null)
      if (own) expect(Object.keys(own).sort()).toEqual([...new Set(['id', names.at(-1)!])].sort())
    })
  }
  expect(compared).toBeGreaterThan(1)
  await unit.read(async () => {
    const where = { tenantId_id: { tenantId: caller.tenantId, id: newId() } }
    expect(await unit.db.careRecipient.findUnique({ where })).toBeNull()
    await expect(unit.db.careRecipient.findUniqueOrThrow({ where })).rejects.toMatchObject({ code: 'P2025' })
  })
})

test('SQL and the generated client see one transaction, and a statement left for its end undoes it when it is refused', async () => {
  const { id } = await planting(house, caller.tenantId).recipient()
  const unit = house.database.unit(caller)
  const where = { tenantId_id: { tenantId: caller.tenantId, id } }
  const localeOf = async () => (await house.at.owner<{ locale: string }>('select preferred_locale as locale from care.recipient where id = $1', [id]))[0]!.locale
  const change = (tenantId: string) =>
    unit.command(async (scope) => {
      await unit.db.$executeRaw`update care.recipient set preferred_locale = 'ar' where id = ${id}::uuid`
      const [{ preferredLocale }, [other]] = [
        await unit.db.careRecipient.update({ where, data: { birthYear: 1950 }, select: { preferredLocale: true } }),
        await unit.db.$queryRaw<{ year: number }[]>`select birth_year as year from care.recipient where id = ${id}::uuid`,
      ]
      expect([preferredLocale, other!.year]).toEqual(['ar', 1950])
      void unit.sql.$executeLater`insert into care.party (tenant_id, id, kind, phi) values (${tenantId}::uuid, ${newId()}::uuid, 'ORG', 'v1|none')`
      // Where another statement follows, it comes before that one.
      if (tenantId === caller.tenantId) expect(await unit.db.careParty.findFirst({ where: { kind: 'ORG', createdBy: null }, select: { kind: true } })).toEqual({ kind: 'ORG' })
      scope.unit.record({ action: 'recipient.updated', resource: 'CareRecipient', resourceId: id, subjectId: id, outcome: 'done' })
    })
  const refused = await change(await house.tenant()).catch((error: unknown) => error)
  expect(isRefusedByWall(refused)).toBe(true)
  expect(await localeOf()).toBe('en')
  await change(caller.tenantId)
  expect(await localeOf()).toBe('ar')
  expect(() => unit.sql.$executeLater`select 1`).toThrow('No unit of work is open.')
  await unit.read(async () => expect(() => unit.sql.$executeLater`select 1`).toThrow('belongs into a command'))
})

test('who is not confirmed sees nothing, changes nothing, and is asked for nothing more', async () => {
  const { id } = await planting(house, caller.tenantId).recipient()
  const confirmedBy = (proof: string) => ({ text: 'select $1', values: ['held'], proof })
  const lines = async () => (await house.at.owner<{ n: number }>('select count(*)::int as n from audit.event where tenant_id = $1', [caller.tenantId]))[0]!.n
  const attempt = async (proof: string, late: boolean, first: boolean) => {
    const unit = house.database.unit(caller, null, confirmedBy(proof))
    let reached = false
    const done = unit.read(async () => {
      await unit.command(
        async (scope) => {
          if (first) await unit.db.$queryRaw`select id from care.recipient where id = ${id}::uuid`
          reached = true
          scope.unit.record({ action: 'recipient.updated', resource: 'CareRecipient', resourceId: id, subjectId: id, outcome: 'done' })
        },
        undefined,
        { confirmsLate: late },
      )
    })
    const failed = await done.then(() => null, (error: unknown) => error)
    return { failed, reached, unit }
  }
  const before = await lines()
  for (const [late, first] of [[true, true], [true, false], [false, true]] as const) {
    const { failed, reached, unit } = await attempt('another', late, first)
    expect(failed).toBeInstanceOf(NotConfirmed)
    expect(reached).toBe(late && !first)
    expect(unit.standing.isRefuted).toBe(true)
    await expect(unit.read(() => unit.db.$queryRaw`select 1`)).rejects.toBeInstanceOf(NotConfirmed)
  }
  expect(await lines()).toBe(before)
  for (const [late, first] of [[true, true], [true, false], [false, true]] as const) {
    expect((await attempt('held', late, first)).failed).toBeNull()
  }
  expect(await lines()).toBe(before + 3)
})
