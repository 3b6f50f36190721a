/** What bounds a statement: its own time limit, the client that went away, and the queue in front of the connections. */
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import pg from 'pg'
import { careHouse, type CareHouse } from '../../../test/kit/care.ts'
import { loginSecret } from '../../../test/kit/postgres.ts'
import type { Caller } from '../../kernel/scope.ts'
import { Database } from './database.ts'
import { urlFor } from './logins.ts'
import { WritePool } from './write-pool.ts'

let house: CareHouse
let database: Database
let caller: Caller
let owner: pg.Client

beforeAll(async () => {
  house = await careHouse()
  database = new Database({ url: house.at.ownerUrl, loginSecret: loginSecret(), preparedStatements: true, writeConnections: 1 })
  caller = house.member(await house.tenant(), 'care_coordinator')
  owner = new pg.Client({ connectionString: house.at.ownerUrl })
  await owner.connect()
})
afterAll(async () => {
  await owner.end()
  await database.close()
  await house.close()
})

/** Waits until Postgres says so. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    if (tries > 1_000) throw new Error('What was awaited never came.')
    await delay(10)
  }
}
const sleeping = async () => {
  const { rows } = await owner.query("select 1 from pg_stat_activity where datname = current_database() and query like '%pg_sleep(8)%' and state = 'active' and pid <> pg_backend_pid()")
  return rows.length > 0
}
const count = (who: Database, of: Caller) => {
  const unit = who.unit(of)
  return unit.read(() => unit.db.careRecipient.count())
}

describe('a statement', () => {
  test('over its time limit is cancelled and typed, on either kind of connection, which serves on', async () => {
    const writing = database.unit(caller)
    // In force for the group alone, as every setting of a read is.
    const confirmedBy = { text: "select set_config('statement_timeout', '30ms', true), 'yes'", values: [], proof: 'yes' }
    const read = { caller, confirmedBy, text: "select 'done' from pg_sleep(8)", values: [], signal: null }
    await expect(database.readConfirmed(read)).rejects.toMatchObject({ kind: 'unavailable', code: 'TIMED_OUT' })
    expect(await database.readConfirmed({ ...read, text: "select 'done'" })).toBe('done')
    await expect(
      writing.command(async () => {
        await writing.db.$executeRawUnsafe("set local statement_timeout = '30ms'")
        await writing.db.$executeRaw`select pg_sleep(8)`
      }),
    ).rejects.toMatchObject({ kind: 'unavailable', code: 'TIMED_OUT' })
    expect(await count(database, caller)).toBe(0)
  })

  test('comes too late in a command that is open for longer than it may be: a quarter of a minute, or a whole one where it is long', async () => {
    const after = async (seconds: number, isLong: boolean) => {
      const unit = database.unit(caller)
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      try {
        return await unit.command(
          async (scope) => {
            await unit.db.$queryRaw`select 1`
            vi.advanceTimersByTime(seconds * 1_000)
            scope.unit.record({ action: 'recipient.updated', resource: 'CareRecipient', resourceId: null, outcome: 'done' })
            return unit.db.$queryRaw`select 1 as one`
          },
          undefined,
          { isLong },
        )
      } finally {
        vi.useRealTimers()
      }
    }
    expect([await after(14, false), await after(59, true)]).toEqual([[{ one: 1 }], [{ one: 1 }]])
    await expect(after(16, false)).rejects.toMatchObject({ code: 'TIMED_OUT' })
    await expect(after(61, true)).rejects.toMatchObject({ code: 'TIMED_OUT' })
  })

  test('whose client has gone is cancelled, rolled back, and its place is free for the next', async () => {
    const gone = new AbortController()
    const unit = database.unit(caller, gone.signal)
    const command = unit.command(async () => void (await unit.db.$executeRaw`select pg_sleep(8)`))
    const ended = expect(command).rejects.toMatchObject({ code: 'TIMED_OUT' })
    await until(sleeping)
    gone.abort()
    await ended
    expect(await sleeping()).toBe(false)
    // The pool has room for one connection: the cancelled one made way for another.
    const next = database.unit(caller)
    await next.command(async (scope) => {
      scope.unit.record({ action: 'test.done', resource: 'Test', outcome: 'done' })
      expect(await next.db.careRecipient.count()).toBe(0)
    })
  })

  test('is not sent for a client that has gone, compiled or not', async () => {
    const gone = new AbortController()
    gone.abort()
    const unit = database.unit(caller, gone.signal)
    await expect(unit.read(() => unit.db.careRecipient.count())).rejects.toMatchObject({ code: 'TIMED_OUT' })
    const read = { caller, confirmedBy: { text: 'select 1', values: [], proof: '' }, text: "select 'x'", values: [], signal: gone.signal }
    await expect(database.readConfirmed(read)).rejects.toMatchObject({ code: 'TIMED_OUT' })
  })
})

test('a lane with as many statements in hand as its queue allows answers OVERLOADED, and serves again when they are done', async () => {
  const confirmedBy = { text: "select 'yes'", values: [], proof: 'yes' }
  const ask = () => database.readConfirmed({ caller, confirmedBy, text: "select 'done'", values: [], signal: null })
  const answers = await Promise.allSettled(Array.from({ length: 1_100 }, ask))
  const refused = answers.filter((one) => one.status === 'rejected')
  expect(refused).toHaveLength(1_100 - 2 * 512)
  for (const { reason } of refused) expect(reason).toMatchObject({ kind: 'unavailable', code: 'OVERLOADED' })
  expect(await ask()).toBe('done')
})

test('a write login with as many commands waiting for a connection as it allows answers OVERLOADED, and serves again when one is free', async () => {
  const url = urlFor('maristan_console', house.at.ownerUrl, loginSecret())
  const pool = new WritePool(url, { connections: 1, waiting: 2, connectTimeoutMs: 10_000, statements: { named: true, limit: 10 } })
  try {
    const held = await pool.take()
    const waiting = [pool.take(), pool.take()]
    await expect(pool.take()).rejects.toMatchObject({ kind: 'unavailable', code: 'OVERLOADED' })
    held.release()
    for (const one of waiting) (await one).release()
    ;(await pool.take()).release()
  } finally {
    await pool.close()
  }
})

test('a connection that breaks at work fails the work in hand, not the process', async () => {
  const url = urlFor('maristan_console', house.at.ownerUrl, loginSecret())
  const pool = new WritePool(url, { connections: 1, waiting: 2, connectTimeoutMs: 10_000, statements: { named: true, limit: 10 } })
  try {
    const held = await pool.take()
    const { rows } = await held.query<{ pid: number }>('select pg_backend_pid() as pid')
    const broken = new Promise((resolve) => held.once('end', resolve))
    await owner.query('select pg_terminate_backend($1)', [rows[0]!.pid])
    await broken
    await expect(held.query('select 1')).rejects.toThrow()
    held.release(true)
    const next = await pool.take()
    expect((await next.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    next.release()
  } finally {
    await pool.close()
  }
})

test('closing waits for the command in hand, which is done, and for what that one begins', async () => {
  const closing = new Database({ url: house.at.ownerUrl, loginSecret: loginSecret(), preparedStatements: true, writeConnections: 2 })
  const begun = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  const unit = closing.unit(caller)
  const command = unit.command(async (scope) => {
    scope.unit.record({ action: 'test.last', resource: 'Test', outcome: 'done' })
    await unit.db.careRecipient.count()
    begun.resolve()
    await go.promise
    await count(closing, caller)
  })
  await begun.promise
  const closed = closing.close()
  go.resolve()
  await Promise.all([command, closed])
  const { rows } = await owner.query("select 1 from audit.event where action = 'test.last'")
  expect(rows).toHaveLength(1)
})
