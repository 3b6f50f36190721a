/**
 * Every table attacked by every login that holds a right on it: as the other tenant and as none. An attack counts only when the same
 * statement, run as the rightful owner of the row, touched it.
 */
import type { Login } from '../platform/db/logins.ts'
import type { Settings } from '../platform/db/settings.ts'
import type { Ground, Outcome } from './ground.ts'
import { insertOf, type Plot, type Row } from './planting.ts'
import { keyOf, type ForeignKey, type Table, type Verb } from './tables.ts'

export interface Findings {
  attacks: number
  controls: number
  readonly leaks: string[]
  readonly unproven: string[]
  /** What was not attacked, each with the reason: there is nothing of another tenant to be had by it. */
  readonly exempt: string[]
}

export const newFindings = (): Findings => ({ attacks: 0, controls: 0, leaks: [], unproven: [], exempt: [] })

interface Attempt {
  /** `INSERT as maristan_console on care.party`. */
  readonly name: string
  readonly as: Login
  readonly text: string
  readonly values: readonly unknown[]
  /** True when the statement reached a row, or a constraint behind the wall. */
  touched(outcome: Outcome): boolean
}

const reachedRow = (outcome: Outcome) => (outcome.ok ? outcome.count > 0 : outcome.state !== '42501')
/** An INSERT that the policy refuses says 42501; anything else was said by what stands behind the policy. */
const passedPolicy = (outcome: Outcome) => outcome.ok || outcome.state !== '42501'

export class TableAttacks {
  readonly #ground: Ground
  readonly #victim: Plot
  readonly #attacker: Plot
  readonly #roles: readonly string[]
  readonly #tables: ReadonlyMap<string, Table>
  readonly findings = newFindings()

  constructor(ground: Ground, tables: readonly Table[], victim: Plot, attacker: Plot) {
    this.#ground = ground
    this.#victim = victim
    this.#attacker = attacker
    this.#tables = new Map(tables.map((table) => [table.name, table]))
    const words = tables.flatMap((table) =>
      table.actorPolicies.filter(({ mentionsRole }) => mentionsRole).flatMap(({ literals }) => literals),
    )
    this.#roles = ['', ...new Set(words)]
  }

  /** Attacks one table with everything that is granted on it. */
  async attack(table: Table): Promise<void> {
    const missing = this.#victim.failures.get(table.name)
    if (missing) {
      this.findings.unproven.push(`${table.name}: no synthetic row could be planted (${missing}).`)
      return
    }
    if (table.grants.size === 0) this.findings.unproven.push(`${table.name}: no login holds a right on it, so nothing could be attacked.`)
    for (const [login, verbs] of table.grants) {
      if (verbs.has('INSERT')) await this.#insert(table, login)
      if (verbs.has('SELECT')) await this.#reach(table, login, verbs)
      else for (const verb of verbs) if (verb !== 'INSERT') this.#cannot(table, login, verb, 'it may not read the rows it changes')
    }
  }

  #cannot(table: Table, login: Login, verb: Verb, reason: string): void {
    this.findings.unproven.push(`${verb} as ${login} on ${table.name}: ${reason}.`)
  }

  #varied(table: Table, login: Login): string[] {
    return table.actorPolicies.filter((policy) => policy.logins.includes(login)).flatMap(({ columns }) => columns)
  }

  /** SELECT, UPDATE and DELETE of the victim's row, and an own row pushed into the victim's tenant. */
  async #reach(table: Table, login: Login, verbs: ReadonlySet<Verb>): Promise<void> {
    const found = await this.#visible(table, login)
    if (!found) {
      this.#cannot(table, login, 'SELECT', 'no rightful owner could be made whom the policies let see a row')
      return
    }
    const { row, settings } = found
    const { where, values } = keyOf(table, row)
    const from = `${table.name} where ${where}`
    const statement = (name: string, text: string): Attempt => ({
      name: `${name} as ${login} on ${table.name}`,
      as: login,
      text,
      values,
      touched: reachedRow,
    })
    await this.#prove(statement('SELECT', `select 1 from ${from}`), settings)
    if (verbs.has('UPDATE')) {
      const change = await this.#allowedChange(table, login, row, settings)
      await this.#prove(statement('UPDATE', `update ${table.name} set ${change} where ${where}`), settings)
      await this.#push(table, login, row, settings, change)
    }
    if (verbs.has('DELETE')) {
      const leaf = (await this.#visible(table, login, true))?.row
      if (!leaf) this.#cannot(table, login, 'DELETE', 'no row without dependants was visible')
      else await this.#prove({ ...statement('DELETE', `delete from ${from}`), values: keyOf(table, leaf).values }, settings)
    }
  }

  /** A change of one column that the rightful owner may make: to what it is, or to what a trigger lets it become. */
  async #allowedChange(table: Table, login: Login, row: Row, settings: Settings): Promise<string> {
    const { where, values } = keyOf(table, row)
    const columns = table.columns.filter(({ name }) => !table.primaryKey.includes(name))
    const changes = [
      ...[...columns, ...table.columns].map(({ name }) => `${name} = ${name}`),
      ...columns.filter(({ type }) => type === 'timestamptz').map(({ name }) => `${name} = now()`),
    ]
    for (const change of changes) {
      const outcome = await this.#ground.run(login, settings, `update ${table.name} set ${change} where ${where}`, values, false)
      if (outcome.ok && outcome.count === 1) return change
    }
    return changes[0]!
  }

  /** A row of one's own that is given the other's tenant_id. */
  async #push(table: Table, login: Login, row: Row, settings: Settings, change: string): Promise<void> {
    const { where, values } = keyOf(table, row)
    const rest = change.startsWith('tenant_id') ? '' : `, ${change}`
    const move = (to: string) =>
      this.#ground.run(login, settings, `update ${table.name} set tenant_id = '${to}'${rest} where ${where}`, values, false)
    const control = await move(this.#victim.tenantId)
    if (!control.ok || control.count === 0) {
      this.#cannot(table, login, 'UPDATE', 'the rightful owner could not set tenant_id to what it is')
      return
    }
    this.findings.controls++
    this.findings.attacks++
    const attack = await move(this.#attacker.tenantId)
    if (passedPolicy(attack)) this.findings.leaks.push(`UPDATE of tenant_id as ${login} on ${table.name} moved a row into another tenant.`)
  }

  async #insert(table: Table, login: Login): Promise<void> {
    const varied = this.#varied(table, login)
    // A table whose key is the tenant alone has its one row already: there, a tenant that does not exist yet is inserted.
    const alone = table.primaryKey.every((name) => name === 'tenant_id')
    const plot = alone ? this.#victim.sibling() : this.#victim
    let reason = ''
    for (const role of this.#roles) {
      const settings = { ...this.#victim.settings(role), tenantId: plot.tenantId }
      const planted = await plot.plant(table, { as: login, settings, keep: false, varied })
      if ('reason' in planted) {
        reason = planted.reason
        continue
      }
      const { text, values } = insertOf(table, planted.row)
      await this.#prove({ name: `INSERT as ${login} on ${table.name}`, as: login, text, values, touched: passedPolicy }, settings)
      if (!alone) await this.#reference(table, login, planted.row, settings)
      return
    }
    this.#cannot(table, login, 'INSERT', `the rightful owner could not either (${reason})`)
  }

  /**
   * A row of one's own that refers to a row of the other tenant: its key must not be found, nor tell that it is there. The control refers
   * to the own tenant's. What is refused for any other reason than the reference (23503) or the wall (42501) proves nothing.
   */
  async #reference(table: Table, login: Login, row: Row, settings: Settings): Promise<void> {
    for (const key of table.foreignKeys) {
      const above = this.#tables.get(key.parent)
      // A key of the tenant alone refers to the tenant itself, and what has no tenant belongs to nobody.
      if (!above || key.pairs.length === 0) continue
      const reason = await this.#crossed(table, login, row, settings, key, above)
      if (reason !== null) this.#cannot(table, login, 'INSERT', `of a reference to another tenant's row (${key.name}), ${reason}`)
    }
  }

  /** Why nothing could be proven of one reference; null when it was. */
  async #crossed(table: Table, login: Login, row: Row, settings: Settings, key: ForeignKey, above: Table): Promise<string | null> {
    const { name, pairs } = key
    const referTo = (there: Row | undefined): Row => Object.fromEntries(pairs.map(([column, key]) => [column, there?.[key]]))
    const insert = (candidate: Row) => {
      const { text, values } = insertOf(table, candidate)
      return this.#ground.run(login, settings, text, values, false)
    }
    let own = row
    if (pairs.some(([column]) => row[column] === null)) {
      const given = referTo(this.#victim.rows.get(above.name))
      const planted = await this.#victim.plant(table, { as: login, settings, keep: false, varied: this.#varied(table, login), given })
      if ('reason' in planted) return `the rightful owner could not refer to a row of her own (${planted.reason})`
      own = planted.row
    }
    const theirs = await this.#unlike(above, pairs.map(([, key]) => key))
    if (!theirs) return 'no row of the other tenant could be told from an own one'
    const control = await insert(own)
    if (!control.ok) return `the rightful owner could not refer to a row of her own (${control.message})`
    this.findings.controls++
    this.findings.attacks++
    const attack = await insert({ ...own, ...referTo(theirs) })
    if (attack.ok) this.findings.leaks.push(`INSERT as ${login} on ${table.name} referred to another tenant's row (${name}).`)
    else if (attack.state !== '23503' && attack.state !== '42501') return `it was refused for another reason (${attack.message})`
    return null
  }

  /** A row of the other tenant whose key no row of the victim has. */
  async #unlike(table: Table, key: readonly string[]): Promise<Row | null> {
    const [known, own] = [this.#attacker.rows.get(table.name), this.#victim.rows.get(table.name)]
    if (known && key.some((name) => known[name] !== own?.[name])) return known
    const planted = await this.#attacker.plant(table)
    return 'row' in planted && key.some((name) => planted.row[name] !== own?.[name]) ? planted.row : null
  }

  /** The same statement three times: as the rightful owner, as the other tenant, and as none. Nothing but the tenant differs. */
  async #prove(attempt: Attempt, rightful: Settings): Promise<void> {
    const { name, as, text, values, touched } = attempt
    const control = await this.#ground.run(as, rightful, text, values, false)
    if (!control.ok || control.count === 0) {
      this.findings.unproven.push(`${name}: the rightful owner touched no row (${control.ok ? 'none matched' : control.message}).`)
      return
    }
    this.findings.controls++
    for (const [who, tenantId] of [
      ['another tenant', this.#attacker.tenantId],
      ['no tenant', ''],
    ] as const) {
      this.findings.attacks++
      const outcome = await this.#ground.run(as, { ...rightful, tenantId }, text, values, false)
      if (touched(outcome)) this.findings.leaks.push(`${name} reached a row as ${who}.`)
    }
  }

  /** A row of the victim that this login sees, and the settings under which it does; `fresh`: one that nothing refers to. */
  async #visible(table: Table, login: Login, fresh = false): Promise<{ row: Row; settings: Settings } | null> {
    for (const role of this.#roles) {
      const settings = this.#victim.settings(role)
      const sees = async (row: Row) => {
        const { where, values } = keyOf(table, row)
        const outcome = await this.#ground.run(login, settings, `select 1 from ${table.name} where ${where}`, values, false)
        return outcome.ok && outcome.count === 1
      }
      const shared = this.#victim.rows.get(table.name)!
      if (!fresh && (await sees(shared))) return { row: shared, settings }
      const varied = this.#varied(table, login)
      if (!fresh && varied.length === 0) continue
      const planted = await this.#victim.plant(table, { varied, accept: sees })
      if ('row' in planted) return { row: planted.row, settings }
    }
    return null
  }
}
