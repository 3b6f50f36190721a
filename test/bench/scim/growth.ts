/** How costs grow with a directory: medians of a few requests each at every size, and how the largest is planned. */
import pg from 'pg'
import { compileFilter } from '../../../src/modules/federation/scim/filter/compile.ts'
import { urlFor } from '../../../src/platform/db/logins.ts'
import { loginSecret } from '../../kit/postgres.ts'
import { numbered } from '../../kit/scim-tables.ts'
import { userBody } from '../../kit/scim.ts'
import { median } from '../kit/interleave.ts'
import { must, seed, type BenchDirectory, type Ours } from './ours.ts'

/** Median milliseconds of `times` runs. */
export async function medianMs(times: number, work: (k: number) => Promise<unknown>): Promise<number> {
  const all: number[] = []
  for (let k = 0; k < times; k++) {
    const startedMs = performance.now()
    await work(k)
    all.push(performance.now() - startedMs)
  }
  return Math.round(median(all) * 100) / 100
}

export async function measureGrowth(ours: Ours, directory: BenchDirectory, rows: number): Promise<Record<string, number>> {
  const startedMs = performance.now()
  await seed(ours, directory, rows, 'row')
  const seedSeconds = Math.round((performance.now() - startedMs) / 1_000)
  const ask = ours.ask(directory)
  const get = async (path: string) => must(200, await ask('GET', path))
  const eq = (attribute: string, value: (k: number) => string) =>
    medianMs(15, async (k) => {
      const found = await get(`/Users?filter=${encodeURIComponent(`${attribute} eq "${value((k * 7919) % rows)}"`)}`)
      if (found['totalResults'] !== 1) throw new Error(`${attribute} was not found.`)
    })
  const create = (k: number) => ask('POST', '/Users', userBody(`made${k}.${rows}@example.org`)).then((answer) => must(201, answer))
  const { nextCursor } = await get('/Users?count=100&cursor=')
  return {
    rows,
    seedSeconds,
    createMs: await medianMs(15, create),
    userNameEqMs: await eq('userName', (k) => `row${k}@example.org`),
    externalIdEqMs: await eq('externalId', (k) => `x${k}`),
    emailEqMs: await eq('emails.value', (k) => `row${k}@example.org`),
    cursorPageMs: await medianMs(15, () => get(`/Users?count=100&cursor=${String(nextCursor)}`)),
    totalResultsMs: await medianMs(5, () => get('/Users?count=0')),
    firstIndexPageMs: await medianMs(5, () => get('/Users?count=100')),
    deepIndexPageMs: await medianMs(5, () => get(`/Users?count=100&startIndex=${rows - 100}`)),
    unindexedFilterMs: await medianMs(3, () => get(`/Users?count=1&filter=${encodeURIComponent('userName co "w1234"')}`)),
  }
}

interface Plan {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Actual Rows': number
  readonly 'Shared Hit Blocks': number
  readonly 'Shared Read Blocks': number
  readonly Plans?: readonly Plan[]
}

/** What the largest directory's questions read, as the directories' own login, with the generic plan that the server uses. */
export async function plansAt(ours: Ours, { tenantId, connectionId }: BenchDirectory, rows: number): Promise<Record<string, unknown>> {
  const client = new pg.Client({ connectionString: urlFor('maristan_directory_read', ours.ownerUrl, loginSecret()) })
  await client.connect()
  try {
    await client.query("select set_config('app.tenant_id', $1, false)", [tenantId])
    const base = 'from scim."user" r where r.tenant_id = $1::uuid and r.connection_id = $2::uuid'
    const [middle] = (await client.query<{ id: string }>(`select r.id ${base} order by r.id offset $3 limit 1`, [tenantId, connectionId, rows / 2])).rows
    const filtered = (filter: string) => {
      const { text, values } = numbered(compileFilter(filter, 'User', { tenantId, connectionId }), [tenantId, connectionId])
      return { text: `select r.id, r.attributes ${base} and (${text}) order by r.id limit 100`, values }
    }
    const questions = {
      'userName eq': filtered(`userName eq "ROW${rows - 7}@example.org"`),
      'externalId eq': filtered(`externalId eq "x${rows - 7}"`),
      'emails.value eq': filtered(`emails.value eq "row${rows - 7}@example.org"`),
      'a page by cursor': {
        text: `select r.id, r.attributes ${base} and r.id > $3::uuid order by r.id limit 101`,
        values: [tenantId, connectionId, middle!.id],
      },
    }
    const plans: Record<string, unknown> = {}
    for (const [name, { text, values }] of Object.entries(questions)) {
      const literals = values.map((value) => (typeof value === 'string' ? client.escapeLiteral(value) : String(value)))
      await client.query(`prepare asked as ${text}`)
      const explained = await client.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(`explain (analyze, buffers, format json) execute asked(${literals.join(', ')})`)
      await client.query('deallocate asked')
      const { Plan: plan } = explained.rows[0]!['QUERY PLAN'][0]
      const nodes = (one: Plan): readonly Plan[] => [one, ...(one.Plans ?? []).flatMap(nodes)]
      const scans = nodes(plan).filter((one) => one['Relation Name'] !== undefined || one['Index Name'] !== undefined)
      plans[name] = {
        rows: plan['Actual Rows'],
        pages: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'],
        by: scans.map((one) => `${one['Node Type']} ${one['Index Name'] ?? one['Relation Name']}`),
      }
    }
    return plans
  } finally {
    await client.end()
  }
}
