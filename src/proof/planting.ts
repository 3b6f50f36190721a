/**
 * Synthetic rows for any table, made from the catalogue alone: column types, enums, keys, checks. A value that a constraint refuses is
 * varied until the row stands; what cannot be planted is said, never skipped.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { newId } from '../kernel/id.ts'
import type { Login } from '../platform/db/logins.ts'
import type { Settings } from '../platform/db/settings.ts'
import type { Ground, Outcome } from './ground.ts'
import type { Column, Table } from './tables.ts'

export type Row = Readonly<Record<string, unknown>>
export type Planted = { readonly row: Row } | { readonly reason: string }

/** One or several columns that are filled together, and the ways to fill them, most wanted first. */
interface Slot {
  readonly columns: readonly string[]
  readonly ways: readonly (() => Row | Promise<Row>)[]
}

const maxTries = 400

/** A throw-away tenant: one row in every table, all of them linked, with one member (`me`) whom personal rows name. */
export class Plot {
  readonly tenantId = newId()
  readonly rows = new Map<string, Row>()
  readonly failures = new Map<string, string>()
  readonly #ground: Ground
  readonly #tables: ReadonlyMap<string, Table>
  readonly #busy = new Set<string>()

  constructor(ground: Ground, tables: readonly Table[]) {
    this.#ground = ground
    this.#tables = new Map(tables.map((table) => [table.name, table]))
  }

  /** Whom policies call me: the planted row of the table that `app.membership_id` is named after. */
  get me(): string | null {
    const membership = [...this.#tables.values()].find(({ bare }) => bare === 'membership')
    return membership ? ((this.rows.get(membership.name)?.['id'] as string | undefined) ?? null) : null
  }

  /** Another tenant that has nothing yet. */
  sibling(): Plot {
    return new Plot(this.#ground, [...this.#tables.values()])
  }

  settings(role = ''): Settings {
    return { tenantId: this.tenantId, membershipId: this.me, role, providerOrgId: this.me }
  }

  /** Takes what the tenant has already, the oldest row of each table. */
  async adopt(): Promise<void> {
    for (const table of this.#tables.values()) {
      const key = table.primaryKey.join(', ')
      const found = await this.#ground.run(
        'owner',
        this.settings(),
        `select * from ${table.name} where tenant_id = $1 order by ${key} limit 1`,
        [this.tenantId],
        true,
      )
      if (found.ok && found.rows[0]) this.rows.set(table.name, found.rows[0])
    }
  }

  /** Plants a row with these values given; null when there is no such table or the row cannot stand. */
  async plantNamed(name: string, given: Row): Promise<Row | null> {
    const table = this.#tables.get(name)
    const planted = table ? await this.plant(table, { given }) : null
    return planted && 'row' in planted ? planted.row : null
  }

  /** Plants one row in every table, parents first. */
  async fill(): Promise<void> {
    for (const table of this.#tables.values()) await this.#shared(table)
  }

  /** The tenant's one row of a table, planted when it is first asked for. */
  async #shared(table: Table): Promise<Row | null> {
    const known = this.rows.get(table.name)
    if (known) return known
    if (this.#busy.has(table.name) || this.failures.has(table.name)) return null
    this.#busy.add(table.name)
    const planted = await this.plant(table)
    this.#busy.delete(table.name)
    if ('reason' in planted) this.failures.set(table.name, planted.reason)
    else this.rows.set(table.name, planted.row)
    return 'row' in planted ? planted.row : null
  }

  /**
   * Plants another row. `as` a login: it alone inserts the row itself, undone unless `keep`; parents are the owner's.
   * `varied`: columns that an actor policy reads; they are tried with every id of the tenant. `accept` refuses rows that do not serve.
   * `plain`: a row that names nobody, as far as its columns may be empty. `given`: columns that are what they are.
   */
  async plant(
    table: Table,
    options: {
      as?: Login
      settings?: Settings
      keep?: boolean
      varied?: readonly string[]
      plain?: boolean
      given?: Row
      accept?: (row: Row) => Promise<boolean>
    } = {},
  ): Promise<Planted> {
    const {
      as = 'owner',
      settings = this.settings(),
      keep = true,
      varied = [],
      plain = false,
      given = {},
      accept = async () => true,
    } = options
    const slots = this.#slots(table, varied, plain)
    const at = slots.map(() => 0)
    const active = new Set<number>()
    let last = 'no row was tried'
    for (let tries = 0; tries < maxTries; tries++) {
      const row: Record<string, unknown> = { tenant_id: this.tenantId }
      for (const [i, slot] of slots.entries()) Object.assign(row, await slot.ways[at[i]!]!())
      Object.assign(row, given)
      const { text, values } = insertOf(table, row)
      const outcome = await this.#ground.run(as, settings, as === 'owner' ? `${text} returning *` : text, values, keep)
      const stored = outcome.ok ? { ...row, ...outcome.rows[0] } : null
      if (stored && (await accept(stored))) return { row: stored }
      last = outcome.ok ? 'no planted row was visible to the login' : outcome.message
      // Nothing that could be varied decides whether a policy lets this row pass.
      if (varied.length === 0 && (outcome.ok || outcome.state === '42501')) break
      for (const i of this.#implicated(table, slots, outcome, varied)) active.add(i)
      if (!advance(at, slots, [...active])) break
    }
    return { reason: last }
  }

  #implicated(table: Table, slots: readonly Slot[], outcome: Outcome, varied: readonly string[]): number[] {
    const constraint = outcome.ok ? null : outcome.constraint
    const known = table.constraints.find(({ name }) => name === constraint) ?? table.foreignKeys.find(({ name }) => name === constraint)
    const columns = known ? ('columns' in known ? known.columns : known.pairs.map(([column]) => column)) : varied
    const found = slots.flatMap((slot, i) => (slot.columns.some((column) => columns.includes(column)) ? [i] : []))
    return found.length > 0 ? found : slots.map((_, i) => i)
  }

  #slots(table: Table, varied: readonly string[], plain: boolean): Slot[] {
    const linked = new Set<string>()
    const slots: Slot[] = []
    for (const { pairs, parent } of table.foreignKeys) {
      const above = this.#tables.get(parent)
      if (!above || pairs.length === 0) continue
      const columns = pairs.map(([column]) => column)
      for (const column of columns) linked.add(column)
      const from = (row: Row | null): Row => Object.fromEntries(pairs.map(([column, there]) => [column, row?.[there] ?? null]))
      const fresh = async (like: { plain: boolean }) => {
        const planted = await this.plant(above, like)
        return from('row' in planted ? planted.row : null)
      }
      const linkedWays = [async () => from(await this.#shared(above)), () => fresh({ plain: false }), () => fresh({ plain: true })]
      const nullable = columns.every((name) => !table.columns.find((column) => column.name === name)!.notNull)
      const none = nullable ? [() => from(null)] : []
      slots.push({ columns, ways: plain ? [...none, ...linkedWays] : [...linkedWays, ...none] })
    }
    for (const column of table.columns) {
      if (column.name === 'tenant_id' || linked.has(column.name)) continue
      const ways = this.#ways(table, column, varied.includes(column.name))
      const empty = plain && !column.notNull ? [() => ({ [column.name]: null })] : []
      slots.push({ columns: [column.name], ways: [...empty, ...ways] })
    }
    return slots
  }

  #ways(table: Table, column: Column, varied: boolean): Slot['ways'] {
    const { name } = column
    const fixed = (value: unknown) => () => ({ [name]: value })
    const ways: Slot['ways'][number][] = []
    const isUuid = column.type === 'uuid' && !column.isArray
    if (isUuid && table.primaryKey.includes(name)) ways.push(() => ({ [name]: newId() }))
    else if (column.type === 'int4' && table.primaryKey.includes(name)) ways.push(() => ({ [name]: randomInt(1, 2 ** 31 - 1) }))
    else if (isUuid) {
      // A column without a foreign key that is named after a table means a row of another module.
      const meant = [...this.#tables.values()].find(({ bare, primaryKey }) => name === `${bare}_id` && primaryKey.includes('id'))
      if (meant) ways.push(async () => ({ [name]: (await this.#shared(meant))?.['id'] ?? this.me }))
      ways.push(() => ({ [name]: this.me ?? newId() }))
      if (varied) for (const row of this.rows.values()) if (row['id']) ways.push(fixed(row['id']))
      if (!column.notNull) ways.push(fixed(null))
    } else if (column.hasDefault) ways.push(() => ({}))
    else if (!column.notNull) ways.push(fixed(null))
    const literals = table.constraints.filter(({ columns }) => columns.includes(name)).flatMap((constraint) => constraint.literals)
    if (!isUuid) ways.push(...valuesOf(column, literals).map((value) => () => ({ [name]: value() })))
    return ways
  }
}

/** An odometer over the slots that were found guilty; false when every combination was tried. */
function advance(at: number[], slots: readonly Slot[], active: readonly number[]): boolean {
  for (const i of active) {
    at[i] = at[i]! + 1
    if (at[i] < slots[i]!.ways.length) return true
    at[i] = 0
  }
  return false
}

const mark = (): string => `x${randomBytes(8).toString('hex')}`

/** The values of a type that are worth a try. Text is unlike any other, so that it is recognised where it should not be. */
function valuesOf(column: Column, literals: readonly string[]): (() => unknown)[] {
  const always = (...values: unknown[]) => values.map((value) => () => value)
  if (column.isArray) return always([], ...literals.map((word) => [word]))
  if (column.labels) return always(...column.labels)
  switch (column.type) {
    case 'text':
    case 'varchar':
    case 'bpchar':
    case 'citext':
      return [mark, ...literals.map((word) => () => (/\W$/.test(word) ? word + mark() : word)), () => `x${randomBytes(2).toString('hex')}`]
    case 'bool':
      return always(false, true)
    case 'timestamptz':
    case 'timestamp':
    case 'date':
      return [1, -1, 400].map((days) => () => new Date(Date.now() + days * 86_400_000))
    case 'time':
      return always('08:00')
    case 'json':
    case 'jsonb':
      return always('{}', '[]')
    case 'bytea':
      return [() => randomBytes(32)]
    case 'inet':
    case 'cidr':
      return always('127.0.0.1')
    case 'interval':
      return always('1 hour')
    default:
      return always(1, 2, 3, 0, 100, 2000)
  }
}

export function insertOf(table: Table, row: Row): { text: string; values: unknown[] } {
  const given = table.columns.filter(({ name }) => row[name] !== undefined).map(({ name }) => name)
  const places = given.map((_, i) => `$${i + 1}`)
  return {
    text: `insert into ${table.name} (${given.join(', ')}) values (${places.join(', ')})`,
    values: given.map((name) => row[name]),
  }
}
