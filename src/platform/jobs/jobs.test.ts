/** Jobs on the real queue: installed by the owner, run by the worker login, once whatever the number of processes. */
import { PgBoss } from 'pg-boss'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { noTenant } from '../../kernel/scope.ts'
import { newId } from '../../kernel/id.ts'
import { Database } from '../db/database.ts'
import { urlFor, workerLogin } from '../db/logins.ts'
import { withClient } from '../db/provision.ts'
import { createLog } from '../http/log.ts'
import { freshDatabase, loginSecret, type TestDatabase } from '../../../test/kit/postgres.ts'
import { layScratch, seenIn, wardModule } from '../../../test/kit/ward.ts'
import { installQueue, queueSchema } from './install.ts'
import { createJobs, type Jobs } from './jobs.ts'
import type { TenantJob } from './system.ts'

let at: TestDatabase
let database: Database
let running: Jobs[]
const active = [newId(), newId(), newId()] as const
const suspended = newId()
const lines: string[] = []
const log = createLog({ level: 'info', destination: { write: (line) => void lines.push(line) } })

beforeEach(async () => {
  at = await freshDatabase()
  await layScratch(at)
  await installQueue(at.ownerUrl)
  for (const [i, id] of [...active, suspended].entries()) {
    await at.owner('insert into tenancy.tenant (tenant_id, slug, legal_name, status) values ($1, $2, $2, $3)', [
      id,
      `tenant-${i}`,
      id === suspended ? 'SUSPENDED' : 'ACTIVE',
    ])
  }
  database = new Database({ url: at.ownerUrl, loginSecret: loginSecret(), preparedStatements: true })
  running = []
})
afterEach(async () => {
  await Promise.all(running.map((jobs) => jobs.stop({ drainMs: 10_000 })))
  await database.close()
  await at.drop()
  expect(lines.splice(0).filter((line) => line.includes('jobs.interrupted'))).toEqual([])
})

function jobsOf(options: { who?: string; before?: () => void | Promise<void>; platformJobs?: TenantJob[] } = {}): Jobs {
  const jobs = createJobs({
    database,
    databaseUrl: at.ownerUrl,
    loginSecret: loginSecret(),
    log,
    pollSeconds: 0.5,
    modules: [wardModule(options.who ?? 'one', options.before)],
    made: { ward: { contract: {} } },
    platformJobs: options.platformJobs ?? [],
  })
  running.push(jobs)
  return jobs
}

const schedules = () => at.owner<{ key: string; cron: string }>(`select key, cron, timezone from ${queueSchema}.schedule order by key`)
const runs = (state: string) => at.owner(`select data from ${queueSchema}.job where name = 'runs' and state = $1`, [state])
const until = (condition: () => Promise<boolean>) => vi.waitUntil(condition, { timeout: 25_000, interval: 50 })
// What the calendar itself starts, at the turn of a minute, must not disturb what a test starts: before anything is, it has been looked at.
const noCalendar = () => at.owner(`update ${queueSchema}.version set cron_on = now() + interval '1 hour'`)

test('a job runs once in every tenant that is not suspended, though two processes work, and leaves a trace', async () => {
  const [one, two] = [jobsOf({ who: 'one' }), jobsOf({ who: 'two' })]
  await noCalendar()
  await one.start()
  await two.start()
  await one.runNow('ward.round')
  const open = () => at.owner(`select from ${queueSchema}.job where state < 'completed'`)
  await until(async () => (await runs('completed')).length >= active.length && (await open()).length === 0)
  const seen = await seenIn(at)
  expect(seen.map((run) => run.tenantId).toSorted()).toEqual(active.toSorted())
  expect(await at.owner("select tenant_id, actor_kind from audit.event where action = 'job.ran' order by tenant_id")).toEqual(
    active.toSorted().map((tenant_id) => ({ tenant_id, actor_kind: 'system' })),
  )
  await expect(one.runNow('ward.nothing')).rejects.toThrow('no job of this name')
})

test('the schedule is what the modules declare, in UTC and once, and lets go of what they no longer declare', async () => {
  const purge: TenantJob = { name: 'outbox.purge', cron: '17 3 * * *', inEveryTenant: true, run: async () => {} }
  const first = jobsOf({ platformJobs: [purge] })
  await first.start()
  const both = [
    { key: 'outbox.purge', cron: '17 3 * * *', timezone: 'UTC' },
    { key: 'ward.round', cron: '* * * * *', timezone: 'UTC' },
  ]
  expect(await schedules()).toEqual(both)
  await jobsOf({ platformJobs: [purge] }).start()
  expect(await schedules()).toEqual(both)
  await jobsOf().start()
  expect(await schedules()).toEqual([both[1]])
})

test('an occasion that passed while no process ran is made up for by one run, whoever looks first', async () => {
  const first = jobsOf()
  await first.start()
  await first.stop()
  running = []
  await at.owner(`delete from ${queueSchema}.job`)
  await at.owner('delete from scratch.seen')
  // The module declared the job yesterday, nobody has looked at the calendar for three hours, and the occasion was half an hour ago.
  const passed = new Date(Date.now() - 30 * 60_000)
  const cron = `${passed.getUTCMinutes()} * * * *`
  await at.owner(`update ${queueSchema}.version set cron_on = now() - interval '3 hours'`)
  await at.owner(
    `update ${queueSchema}.schedule
     set key = 'test.hourly', cron = $1, data = '{"job":"test.hourly"}', created_on = now() - interval '1 day'`,
    [cron],
  )
  const ran: string[] = []
  const hourly: TenantJob = { name: 'test.hourly', cron, inEveryTenant: true, run: async (tenantId) => void ran.push(tenantId) }
  await Promise.all([1, 2].map(() => jobsOf({ platformJobs: [hourly] }).start()))
  await until(async () => ran.length >= active.length)
  const open = () => at.owner(`select from ${queueSchema}.job where state < 'completed'`)
  await until(async () => (await open()).length === 0)
  expect(ran.toSorted()).toEqual(active.toSorted())
})

test('a job of the building runs once, outside every tenant', async () => {
  const ran: string[] = []
  const job: TenantJob = {
    name: 'test.building',
    cron: '0 0 29 2 *',
    inEveryTenant: false,
    async run(tenantId) {
      ran.push(tenantId)
    },
  }
  const jobs = jobsOf({ platformJobs: [job] })
  await noCalendar()
  await jobs.start()
  await jobs.runNow('test.building')
  await until(async () => ran.length > 0)
  const open = () => at.owner(`select from ${queueSchema}.job where state < 'completed'`)
  await until(async () => (await open()).length === 0)
  expect(ran).toEqual([noTenant])
})

test('one tenant’s failure is nobody else’s: it is tried again, then kept as a dead run that says no word of it', async () => {
  const tries = new Map<string, number>()
  const job: TenantJob = {
    name: 'test.fails',
    cron: '0 0 29 2 *',
    inEveryTenant: true,
    async run(tenantId) {
      tries.set(tenantId, (tries.get(tenantId) ?? 0) + 1)
      if (tenantId === active[0]) throw new Error('words that must not be kept')
    },
  }
  const jobs = jobsOf({ platformJobs: [job] })
  await noCalendar()
  await jobs.start()
  await jobs.runNow('test.fails')
  await until(async () => {
    await at.owner(`update ${queueSchema}.job set start_after = now() where name = 'runs' and state = 'retry'`)
    return (await jobs.deadRuns()).length > 0
  })
  expect(await jobs.deadRuns()).toMatchObject([{ job: 'test.fails', tenantId: active[0] }])
  expect(Object.fromEntries(tries)).toEqual({ [active[0]]: 5, [active[1]]: 1, [active[2]]: 1 })
  expect(JSON.stringify(await at.owner(`select * from ${queueSchema}.job`))).not.toContain('must not be kept')
  expect(lines.join('')).not.toContain('must not be kept')
})

test('a module’s job that fails leaves nothing behind', async () => {
  const jobs = jobsOf({
    before: () => {
      throw new Error('after writing')
    },
  })
  await noCalendar()
  await jobs.start()
  await jobs.runNow('ward.round')
  await until(async () => (await runs('retry')).length === active.length)
  expect(await seenIn(at)).toEqual([])
  expect(await at.owner("select from audit.event where action = 'job.ran'")).toEqual([])
})

test('stopping lets a run in hand finish; one that does not is cut off and due again', async () => {
  const gate = Promise.withResolvers<void>()
  const entered: string[] = []
  const ended: string[] = []
  const job: TenantJob = {
    name: 'test.slow',
    cron: '0 0 29 2 *',
    inEveryTenant: true,
    async run(tenantId) {
      // The first never ends, the second ends when it is told to.
      if (entered.push(tenantId) === 1) await new Promise(() => {})
      await gate.promise
      ended.push(tenantId)
    },
  }
  const jobs = jobsOf({ platformJobs: [job] })
  await noCalendar()
  await jobs.start()
  await jobs.runNow('test.slow')
  await until(async () => entered.length === 2)
  const stopped = jobs.stop({ drainMs: 1_500 })
  gate.resolve()
  await stopped
  expect(ended).toEqual([entered[1]])
  expect(await runs('active')).toEqual([])
  expect(await runs('retry')).toEqual([{ data: { job: 'test.slow', tenantId: entered[0] } }])
  // The queue complains of the run that it cut off, as it should.
  lines.length = 0
})

test('the queue is installed once, by two at a time or again, and the worker login may run it and not reshape it', async () => {
  const count = () => at.owner(`select count(*) as n from pg_class where relnamespace = '${queueSchema}'::regnamespace`)
  const before = await count()
  await Promise.all([installQueue(at.ownerUrl), installQueue(at.ownerUrl)])
  expect(await count()).toEqual(before)
  await withClient(urlFor(workerLogin, at.ownerUrl, loginSecret()), async (client) => {
    await client.query(`select count(*) from ${queueSchema}.job`)
    for (const sql of [
      `create table ${queueSchema}.mine (id int)`,
      `drop table ${queueSchema}.job`,
      `truncate ${queueSchema}.job`,
      `select ${queueSchema}.delete_queue('runs')`,
      `select ${queueSchema}.create_queue('own', '{"partition":true,"policy":"standard"}')`,
      `update ${queueSchema}.warning set message = ''`,
    ]) {
      await expect(client.query(sql), sql).rejects.toMatchObject({ code: '42501' })
    }
  })
  for (const login of ['maristan_console', 'maristan_auth', 'maristan_operator'] as const) {
    const look = withClient(urlFor(login, at.ownerUrl, loginSecret()), (client) => client.query(`select from ${queueSchema}.job`))
    await expect(look, login).rejects.toMatchObject({ code: '42501' })
  }
})

test('the worker login may do all the upkeep that the queue does by itself', async () => {
  const boss = new PgBoss({
    connectionString: urlFor(workerLogin, at.ownerUrl, loginSecret()),
    schema: queueSchema,
    migrate: false,
    supervise: false,
    schedule: false,
    reindex: false,
    monitorVacuum: false,
    max: 2,
  })
  const complaints: string[] = []
  boss.on('error', (error) => complaints.push(error.message))
  await boss.start()
  await boss.createQueue('upkeep', { retryLimit: 0 })
  await boss.send('upkeep', {})
  await boss.supervise()
  await boss.resolveFlow()
  await boss.stop({ graceful: false })
  expect(complaints).toEqual([])
})

test('a job without a proper name or with a taken one stops the start', () => {
  const job = (name: string, cron = '* * * * *'): TenantJob => ({ name, cron, inEveryTenant: true, run: async () => {} })
  for (const bad of [[job('Round')], [job('a.b.c')], [job('x.y', '* * * *')], [job('x.y'), job('x.y')], [job('ward.round')]]) {
    expect(() => jobsOf({ platformJobs: bad }), JSON.stringify(bad)).toThrow()
  }
})
