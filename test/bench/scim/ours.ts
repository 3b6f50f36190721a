/** Our server over a database of its own, and the rows of a directory laid there by SQL: a million by HTTP would take hours. */
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { startChild, type Child } from '../../kit/child.ts'

export interface Answer {
  readonly status: number
  readonly text: string
}
export type Ask = (method: string, path: string, body?: unknown) => Promise<Answer>

export interface BenchDirectory {
  readonly tenantId: string
  readonly connectionId: string
  readonly token: string
}

export interface Ours {
  readonly ownerUrl: string
  /** Directories of tenants of their own, none of them used yet. */
  readonly directories: readonly BenchDirectory[]
  ask(directory: BenchDirectory): Ask
  owner(sql: string, values?: readonly unknown[]): Promise<Readonly<Record<string, unknown>>[]>
  end(): Promise<void>
}

/** @param url without a slash at its end */
export function asking(url: string, token: string): Ask {
  return async (method, path, body) => {
    const headers = { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/scim+json' }) }
    const answer = await fetch(`${url}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
    return { status: answer.status, text: await answer.text() }
  }
}

/** Waits where the server sheds load: what it refuses so is not measured as done. */
function patient(ask: Ask): Ask {
  return async (method, path, body) => {
    for (;;) {
      const answer = await ask(method, path, body)
      if (answer.status !== 503) return answer
      await delay(100)
    }
  }
}

/** @param ownerUrl of the cluster, with a migrated template in it */
export async function startOurs(ownerUrl: string): Promise<Ours> {
  const child: Child = await startChild('test/bench/scim/house.ts', { TEST_OWNER_URL: ownerUrl })
  const said = JSON.parse(child.firstLine) as { url: string; ownerUrl: string; directories: BenchDirectory[] }
  const client = new pg.Client({ connectionString: said.ownerUrl })
  await client.connect()
  return {
    ownerUrl: said.ownerUrl,
    directories: said.directories,
    ask: ({ token }) => patient(asking(said.url, token)),
    owner: async (sql, values = []) => (await client.query(sql, [...values])).rows as Record<string, unknown>[],
    async end() {
      await client.end()
      await child.end('SIGTERM')
    },
  }
}

/** The answer's document, where it is the status that was wanted. */
export function must(status: number, answer: Answer): Readonly<Record<string, unknown>> {
  if (answer.status !== status) throw new Error(`Answered ${answer.status} instead of ${status}: ${answer.text.slice(0, 300)}`)
  return answer.text === '' ? {} : (JSON.parse(answer.text) as Record<string, unknown>)
}

const chunk = 100_000

/** Users `<prefix>0`, `<prefix>1` and so on, as a directory would have made them. Rows that fit each other are laid unchecked. */
export async function seed(ours: Ours, { tenantId, connectionId }: BenchDirectory, count: number, prefix: string): Promise<void> {
  await ours.owner('set session_replication_role = replica')
  for (let from = 0; from < count; from += chunk) {
    await ours.owner(
      `with made as (
         insert into scim."user" (tenant_id, id, connection_id, user_name, user_name_key, external_id, active, attributes, search)
         select $1, uuidv7(), $2, n, n, 'x' || k, true, a, a from generate_series($3::int, $4::int - 1) k,
           lateral (select $5::text || k || '@example.org') names(n),
           lateral (select jsonb_build_object('userName', n, 'externalId', 'x' || k, 'active', true,
             'emails', jsonb_build_array(jsonb_build_object('value', n, 'type', 'work', 'primary', true)))) as stored(a)
         returning id, user_name)
       insert into scim.user_value (tenant_id, connection_id, user_id, path, key) select $1, $2, id, 'emails.value', user_name from made`,
      [tenantId, connectionId, from, Math.min(from + chunk, count), prefix],
    )
  }
  await ours.owner('set session_replication_role = origin')
  // What autovacuum does in its own time.
  await ours.owner('vacuum analyze scim."user"')
  await ours.owner('vacuum analyze scim.user_value')
}
