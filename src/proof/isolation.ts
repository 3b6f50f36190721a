/**
 * The proof that tenants are isolated, against the live database: two throw-away tenants are made, every table and every field of every
 * plane is attacked from one to the other, and all of it is rolled back. What could not be proven is told, and is as bad as a leak.
 */
import { createHouse } from '../app.ts'
import type { Composed } from '../platform/compose.ts'
import { readConfig } from '../platform/config.ts'
import type { Foundation } from '../platform/db/foundation.ts'
import { createLog } from '../platform/http/log.ts'
import type { Route } from '../platform/http/router.ts'
import { planes } from '../kernel/scope.ts'
import { BoundDatabase } from './bound-database.ts'
import { GraphAttacks } from './graph-attacks.ts'
import type { GraphSide } from './graph-runner.ts'
import { RolledBackGround } from './ground.ts'
import { Plot } from './planting.ts'
import { RouteAttacks } from './route-attacks.ts'
import { TableAttacks, type Findings } from './table-attacks.ts'
import { readTables, type Table } from './tables.ts'
import { makeThrowawayTenant } from './throwaway-tenant.ts'

export interface IsolationReport {
  /** How many of each were attacked. */
  readonly tables: number
  readonly fields: number
  readonly routes: number
  readonly attacks: number
  /** Statements and operations that the rightful owner ran to show that the attack could have worked. */
  readonly controls: number
  readonly leaks: readonly string[]
  readonly unproven: readonly string[]
  /** Places that nothing of another tenant can be had by, each with the reason. */
  readonly exempt: readonly string[]
}

export interface IsolationOptions {
  /** `ownerUrl`: only the owner can act as every login inside one transaction that is never committed. */
  readonly foundation: Pick<Foundation, 'ownerUrl'>
  readonly house: Composed
  /** Told what is being attacked. */
  readonly progress?: (what: string) => void
}

/** Attacks everything. Nothing that it writes is ever committed. @throws when the owner's connection may not act as the logins. */
export async function proveIsolation({ foundation, house, progress = () => {} }: IsolationOptions): Promise<IsolationReport> {
  const { ownerUrl } = foundation
  if (ownerUrl === null) {
    const reason =
      "Nothing was proven: set DATABASE_OWNER_URL. Throw-away rows are visible to one connection only, and only the owner's may be every login."
    return { tables: 0, fields: 0, routes: 0, attacks: 0, controls: 0, leaks: [], unproven: [reason], exempt: [] }
  }
  const tables = await proveTables(ownerUrl, progress)
  const fields = await proveFields(ownerUrl, house, progress)
  const routes = await proveRoutes(ownerUrl, house, progress)
  const parts = [tables, fields, routes].map(({ findings }) => findings)
  return {
    tables: tables.count,
    fields: fields.count,
    routes: routes.count,
    attacks: parts.reduce((sum, { attacks }) => sum + attacks, 0),
    controls: parts.reduce((sum, { controls }) => sum + controls, 0),
    leaks: parts.flatMap(({ leaks }) => leaks),
    unproven: parts.flatMap(({ unproven }) => unproven),
    exempt: parts.flatMap(({ exempt }) => exempt),
  }
}

interface Part {
  readonly count: number
  readonly findings: Findings
}

/** Every table with a tenant, by every login that holds a right on it. */
export async function proveTables(ownerUrl: string, progress: (what: string) => void = () => {}): Promise<Part> {
  const ground = await RolledBackGround.open(ownerUrl)
  try {
    const tables = await readTables(ground.client)
    const [victim, attacker] = [new Plot(ground, tables), new Plot(ground, tables)]
    await victim.fill()
    await attacker.fill()
    const attacks = new TableAttacks(ground, tables, victim, attacker)
    for (const table of tables) {
      progress(`table ${table.name}`)
      await attacks.attack(table)
    }
    return { count: tables.length, findings: attacks.findings }
  } finally {
    await ground.close()
  }
}

/** Every root field and node of every plane. */
export function proveFields(ownerUrl: string, house: Composed, progress: (what: string) => void = () => {}): Promise<Part> {
  return betweenTenants(ownerUrl, house, progress, async (database, victim, attacker) => {
    const attacks = new GraphAttacks(database, house, victim, attacker)
    for (const plane of planes) await attacks.attackPlane(plane, progress)
    return { count: attacks.fields, findings: attacks.findings }
  })
}

/**
 * Every route of the server.
 * @param alter what the server's routes are taken for; for planting a leak.
 */
export function proveRoutes(
  ownerUrl: string,
  house: Composed,
  progress: (what: string) => void = () => {},
  alter: (routes: readonly Route[]) => readonly Route[] = (routes) => routes,
): Promise<Part> {
  return betweenTenants(ownerUrl, house, progress, async (database, victim, attacker) => {
    const { server, routes } = createHouse(readConfig({}), { database }, house, createLog({ level: 'silent' }))
    try {
      const attacks = new RouteAttacks(database, house, alter(routes))
      await attacks.attack(victim.tenant, attacker.tenant, progress)
      return { count: attacks.attacked.size, findings: attacks.findings }
    } finally {
      await server.close()
    }
  })
}

/** Makes two throw-away tenants, lets `work` do what it likes between them, and undoes all of it. */
async function betweenTenants<T>(
  ownerUrl: string,
  house: Composed,
  progress: (what: string) => void,
  work: (database: BoundDatabase, victim: GraphSide, attacker: GraphSide) => Promise<T>,
): Promise<T> {
  const ground = await RolledBackGround.open(ownerUrl)
  const database = new BoundDatabase(ground)
  try {
    const tables = await readTables(ground.client)
    progress('two throw-away tenants')
    const side = async (): Promise<GraphSide> => {
      const tenant = await makeThrowawayTenant(database, house, new Plot(ground, tables))
      return { tenant, fingerprint: () => fingerprintOf(ground, tables, tenant.plot) }
    }
    return await work(database, await side(), await side())
  } finally {
    await database.close()
    await ground.close()
  }
}

async function fingerprintOf(ground: RolledBackGround, tables: readonly Table[], plot: Plot): Promise<string> {
  const sums = tables.map(
    ({ name }) => `select '${name}' as name, sum(hashtextextended(t::text, 0)) as sum from ${name} t where tenant_id = $1`,
  )
  const outcome = await ground.run(
    'owner',
    plot.settings(),
    `select string_agg(name || sum::text, ' ' order by name) as print from (${sums.join(' union all ')}) s`,
    [plot.tenantId],
    false,
  )
  if (!outcome.ok) throw new Error(`The rows of a throw-away tenant could not be read: ${outcome.message}`)
  return String(outcome.rows[0]!['print'])
}
