/**
 * Runs what modules schedule: once an occasion whatever the number of processes, in every tenant that is not suspended, each
 * on its own so that one's failure is nobody else's, or once outside them all. Built on pg-boss; its tables are the history of runs.
 *
 * An occasion (`tick`) becomes one run a tenant. A run that fails is tried again with growing pauses and then kept as a dead
 * letter. Occasions missed while no process ran are made up for by one.
 */
import { PgBoss, type Job } from 'pg-boss'
import { noTenant } from '../../kernel/scope.ts'
import type { Database } from '../db/database.ts'
import { urlFor, workerLogin } from '../db/logins.ts'
import type { Log } from '../http/log.ts'
import type { AnyModule, Built, ScheduledJob } from '../module.ts'
import { queueSchema } from './install.ts'
import { systemCaller, within, type TenantJob } from './system.ts'

export interface JobsOptions {
  readonly database: Database
  /** Host, port and database, and the secret of the logins: the queue has connections of its own. */
  readonly databaseUrl: string
  readonly loginSecret: string
  readonly modules: readonly AnyModule[]
  /** What each module built, by its name. */
  readonly made: Readonly<Record<string, Built>>
  /** Jobs of the platform itself. */
  readonly platformJobs: readonly TenantJob[]
  readonly log: Log
  /** How often the queues are looked at, in seconds, at least half a one; one unless told. */
  readonly pollSeconds?: number
}

export interface Jobs {
  /** Makes the queues, brings the schedule up to date and begins to work. */
  start(): Promise<void>
  /** Lets runs in hand finish, within `drainMs` milliseconds; what is cut off is run again by somebody. */
  stop(options?: { readonly drainMs?: number }): Promise<void>
  /** Runs a job now, in every tenant, whatever its schedule says. @throws for a name that is no job. */
  runNow(name: string): Promise<void>
  /** Runs that were given up, the latest first, at most 100. */
  deadRuns(): Promise<{ readonly job: string; readonly tenantId: string; readonly at: Date }[]>
}

const queues = { ticks: 'ticks', runs: 'runs', dead: 'dead-runs' } as const

interface Tick {
  readonly job: string
}
interface Run {
  readonly job: string
  readonly tenantId: string
}

/** Tries: the first, and as many again. Pauses grow from the delay to the bound. */
const runRules = {
  policy: 'exclusive',
  retryLimit: 4,
  retryDelay: 15,
  retryBackoff: true,
  retryDelayMax: 900,
  expireInSeconds: 300,
  retentionSeconds: 7 * 86_400,
  deleteAfterSeconds: 7 * 86_400,
  deadLetter: queues.dead,
} as const
const deadRules = { retentionSeconds: 30 * 86_400, deleteAfterSeconds: 30 * 86_400 } as const
const runTimeoutMs = 240_000
const tenantsAnInsert = 500

export function createJobs(options: JobsOptions): Jobs {
  const { database, log } = options
  const jobs = jobTable([...options.platformJobs, ...moduleJobs(options)])
  const boss = new PgBoss({
    connectionString: urlFor(workerLogin, options.databaseUrl, options.loginSecret),
    schema: queueSchema,
    application_name: 'maristan jobs',
    max: 4,
    migrate: false,
    cronWorkerIntervalSeconds: Math.max(1, options.pollSeconds ?? 5),
    // The owner's work, and the worker login may not do it.
    reindex: false,
    monitorVacuum: false,
  })
  boss.on('error', (error) => log.warn('jobs.interrupted', { error }))
  let started = false

  const jobNamed = (name: string): TenantJob => {
    const job = jobs.get(name)
    if (!job) throw new Error('There is no job of this name.')
    return job
  }

  async function fanOut({ data: { job } }: Job<Tick>): Promise<void> {
    const { inEveryTenant } = jobNamed(job)
    let page: { data: Run; singletonKey: string }[] = []
    const send = async () => {
      if (page.length > 0) await boss.insert(queues.runs, page)
      page = []
    }
    for await (const tenantId of inEveryTenant ? database.gate.activeTenants() : [noTenant]) {
      // One run of a job a tenant, waiting or at work: a slow one does not pile up.
      page.push({ data: { job, tenantId }, singletonKey: `${job}/${tenantId}` })
      if (page.length === tenantsAnInsert) await send()
    }
    await send()
  }

  async function runOne(run: Job<Run>): Promise<void> {
    const { job, tenantId } = run.data
    const startedMs = performance.now()
    const record = { job, tenantId, jobId: run.id, attempt: run.retryCount + 1 }
    try {
      await within(runTimeoutMs, jobNamed(job).run(tenantId, `job-${run.id}`, run.signal))
      log.info('jobs.done', { ...record, durationMs: Math.round(performance.now() - startedMs) })
    } catch (error) {
      log.error('jobs.failed', { ...record, error })
      // The queue stores what it is given of a failure: a message could quote a row.
      throw new Error('The run failed; the log has more under its id.')
    }
  }

  async function schedule(): Promise<void> {
    const stale = new Set((await boss.getSchedules(queues.ticks)).map((one) => one.key))
    for (const { name, cron } of jobs.values()) {
      stale.delete(name)
      await boss.schedule(queues.ticks, cron, { job: name } satisfies Tick, { key: name, tz: 'UTC', missed: 'once', singletonKey: name })
    }
    for (const key of stale) await boss.unschedule(queues.ticks, key)
  }

  return {
    async start() {
      if (started) throw new Error('The jobs are already running.')
      started = true
      await boss.start()
      await boss.createQueue(queues.dead, deadRules)
      for (const queue of [queues.ticks, queues.runs]) {
        const { policy, ...rules } = runRules
        await boss.createQueue(queue, { policy, ...rules })
        await boss.updateQueue(queue, rules)
      }
      await schedule()
      const rules = { batchSize: 1, pollingIntervalSeconds: options.pollSeconds ?? 1 }
      await boss.work<Tick>(queues.ticks, rules, async ([tick]) => fanOut(tick!))
      await boss.work<Run>(queues.runs, { ...rules, localConcurrency: 2 }, async ([run]) => runOne(run!))
    },
    async stop({ drainMs = 20_000 } = {}) {
      await boss.stop({ graceful: true, timeout: drainMs })
    },
    async runNow(name) {
      await boss.send(queues.ticks, { job: jobNamed(name).name } satisfies Tick, { singletonKey: name })
    },
    async deadRuns() {
      const { rows } = await boss.getDb().executeSql(
        `select data ->> 'job' as job, data ->> 'tenantId' as "tenantId", created_on as at
         from ${queueSchema}.job where name = $1 order by created_on desc limit 100`,
        [queues.dead],
      )
      return rows
    },
  }
}

/** A module's job is one command a tenant, all or nothing, with a trace that it ran; or, if it says so, several. */
function moduleJobs({ modules, made, database }: JobsOptions): TenantJob[] {
  return modules.flatMap((module) =>
    (module.jobs as readonly ScheduledJob<Built>[]).map((job): TenantJob => {
      const name = `${module.name}.${job.name}`
      return {
        name,
        cron: job.cron,
        inEveryTenant: job.inEveryTenant,
        run: (tenantId, requestId, signal) => {
          const open = () => database.unit(systemCaller(tenantId, name, requestId), signal)
          if ('runInSteps' in job) return job.runInSteps(made[module.name]!, open)
          const unit = open()
          return unit.command(async (scope) => {
            unit.record({ action: 'job.ran', resource: 'Job', outcome: 'done', detail: { job: name } })
            await job.run(made[module.name]!, scope)
          }, job.login)
        },
      }
    }),
  )
}

function jobTable(jobs: readonly TenantJob[]): ReadonlyMap<string, TenantJob> {
  const table = new Map<string, TenantJob>()
  for (const job of jobs) {
    if (!/^[a-z][a-z0-9-]*\.[a-z][a-z0-9-]{0,60}$/.test(job.name)) {
      throw new Error(`Job ${job.name} is not named <module>.<name> in small letters.`)
    }
    if (!/^\S+( \S+){4}$/.test(job.cron)) throw new Error(`Job ${job.name} has no five cron fields.`)
    if (table.has(job.name)) throw new Error(`Two jobs are named ${job.name}.`)
    table.set(job.name, job)
  }
  return table
}
