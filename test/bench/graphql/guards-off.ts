/**
 * What each guard costs: our server as it is, against the same server with one guard off, in turns. Most guards are taken out of a process
 * of the benchmark's own by `without/`; the policies are switched off in the benchmark's database, around each round.
 */
import { join } from 'node:path'
import { byId, list, mutation, pages, type Words } from './cases.ts'
import type { BenchGround, BenchTenant } from './ground.ts'
import { time, tokensOf, twoDigits, type Figures, type Standing } from './measure.ts'
import { askOnce } from './load.ts'
import { startOurs, type SideProcess } from './sides.ts'
import { plainMark } from './without/plain.ts'

const taken = ['token', 'session', 'permissions', 'sealing', 'audit', 'limits', 'metrics'] as const
const words: Readonly<Record<string, Words>> = { byId: byId.ours, list: list.ours, page: pages['sealed']!, mutation: mutation.ours }
const connections = 16
/** Sixteen pages of a hundred at once are more than two cores answer in time; sixteen changes, in ten servers, more connections than Postgres has. */
const few = { connections: 4, cases: ['page', 'mutation'] }
const schemas = ['care', 'identity', 'audit', 'outbox', 'vault']

/** What the columns of the table leave in, in words. */
export const guardsOff: Readonly<Record<string, string>> = {
  policies: 'row level security disabled on every table of the modules concerned; statements still name the tenant',
  token: 'a bearer is taken for whom it was first verified as: no hash, times or key looked at',
  session: 'the statement that confirms the session looks at no table; the round trip is the same',
  permissions: 'fields without their authorisation steps, every permission held. A compiled read checks one look-up in a set a permission',
  sealing: 'records stored as JSON, no key read, nothing opened; the same audit rows (case page alone)',
  audit: 'no audit row is built, written or sealed',
  limits: 'no overload, framing or cost check; parsing and shape are remembered with the document in any case',
  logs: 'log level silent',
  metrics: 'requests are not counted or timed',
}

export interface Costs {
  /** By case, with every guard. */
  readonly all: Record<string, Figures>
  /** By case and guard, without it. */
  readonly without: Record<string, Record<string, Figures>>
}

/** Stores the records of a tenant as they are, for the server that opens nothing. */
async function unseal(ground: BenchGround, server: SideProcess, tenant: BenchTenant, token: string): Promise<void> {
  const reply = await askOnce(server.port, pages['sealed']!.request({ tenant, token, k: 0 }))
  const rows = pages['sealed']!.records(JSON.parse(reply.body).data as never) as { id: string; givenName: string; familyName: string; phone: string }[]
  for (const { id, givenName, familyName, phone } of rows) {
    await ground.owner('update care.recipient set phi = $3 where tenant_id = $1 and id = $2', [
      tenant.id,
      id,
      `${plainMark}${JSON.stringify({ givenName, familyName, phone })}`,
    ])
  }
}

/** @returns by case and guard: the figures without it, beside the processor time with it. */
export async function oneGuardOff(ground: BenchGround, server: SideProcess, say: (sentence: string) => void): Promise<Costs> {
  const own = ['--import', join(import.meta.dirname, 'without/replace.ts')]
  const started: SideProcess[] = []
  try {
    const without = new Map<string, SideProcess>()
    const start = async (guard: string, more: Record<string, string> = {}) => {
      const process = await startOurs(ground, own, { BENCH_WITHOUT: guard, ...more })
      started.push(process)
      return process
    }
    const all = await start('none')
    for (const guard of taken) without.set(guard, await start(guard))
    without.set('logs', await start('none', { LOG_LEVEL: 'silent' }))
    const [plain, ...tenants] = ground.tenants
    const tables = await ground.owner<{ name: string }>(
      `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relrowsecurity and n.nspname = any($1)`,
      [schemas],
    )
    // One table a transaction: locks on several would wait for statements that wait for one of them.
    const policies = (state: 'enable' | 'disable') => async () => {
      await ground.owner(`do $$ declare name text; begin
        foreach name in array '{${tables.map(({ name }) => name).join(',')}}'::text[] loop
          execute format('alter table %s ${state} row level security', name);
          commit;
        end loop;
      end $$`)
    }
    await unseal(ground, server, plain!, (await tokensOf(server.port, [plain!])).get(plain!.id)!)
    const costs: Costs = { all: {}, without: {} }
    for (const [name, one] of Object.entries(words)) {
      const tokens = await tokensOf(server.port, ground.tenants)
      const standing: Standing[] = [{ name: 'all', process: all, words: one }]
      for (const [guard, process] of without) {
        if (guard !== 'sealing') standing.push({ name: guard, process, words: one })
        else if (name === 'page') standing.push({ name: guard, process, words: one, tenants: [plain!] })
      }
      standing.push({ name: 'policies', process: all, words: one, begin: policies('disable'), end: policies('enable') })
      const timing = { ground, tenants, tokens, connections: few.cases.includes(name) ? few.connections : connections }
      const { all: whole, ...others } = await time(standing, timing)
      const total = ({ cpuMicroseconds, postgresMicroseconds }: Figures) => cpuMicroseconds + postgresMicroseconds
      costs.all[name] = whole!
      costs.without[name] = others
      const shares = Object.entries(others).map(([guard, figures]) => `${guard} ${twoDigits(total(figures) / total(whole!))}`)
      say(`${name}, one guard off, of ${total(whole!)} us: ${shares.join(', ')}`)
    }
    return costs
  } finally {
    await Promise.all(started.map((process) => process.stop()))
  }
}
