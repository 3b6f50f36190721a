/**
 * Lays the job queue's tables with the owner's connection and grants the worker login what running jobs needs: no right to
 * make or drop anything. The tables hold names of jobs and ids of tenants, and belong to no tenant.
 */
import pg from 'pg'
import { PgBoss } from 'pg-boss'
import { workerLogin } from '../db/logins.ts'

/** The queue's Postgres schema. */
export const queueSchema = 'jobs_queue'

const grants = `
  revoke all on schema ${queueSchema} from public;
  revoke all on all functions in schema ${queueSchema} from public;
  grant usage on schema ${queueSchema} to ${workerLogin};
  grant select on all tables in schema ${queueSchema} to ${workerLogin};
  grant insert, update, delete on ${queueSchema}.job, ${queueSchema}.job_common, ${queueSchema}.schedule to ${workerLogin};
  grant delete on ${queueSchema}.job_dependency to ${workerLogin};
  grant insert, update on ${queueSchema}.queue to ${workerLogin};
  grant update on ${queueSchema}.version to ${workerLogin};
  grant execute on function ${queueSchema}.create_queue(text, jsonb), ${queueSchema}.job_now() to ${workerLogin}`

/** Safe to repeat, and to run twice at once. */
export async function installQueue(ownerUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl, connectionTimeoutMillis: 10_000, application_name: 'maristan' })
  await client.connect()
  try {
    // Two installers take turns; the lock ends with the connection.
    await client.query("select pg_advisory_lock(hashtext('maristan job queue'))")
    await layTables(ownerUrl)
    // One simple query is one transaction.
    await client.query(grants)
  } finally {
    await client.end()
  }
}

async function layTables(ownerUrl: string): Promise<void> {
  const boss = new PgBoss({
    connectionString: ownerUrl,
    schema: queueSchema,
    supervise: false,
    schedule: false,
    max: 2,
    application_name: 'maristan',
  })
  const problems: Error[] = []
  boss.on('error', (error) => problems.push(error))
  try {
    await boss.start()
  } finally {
    await boss.stop({ graceful: false })
  }
  if (problems[0]) throw problems[0]
}
