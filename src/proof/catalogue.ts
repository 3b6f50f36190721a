/**
 * The gate over pg_catalog: whether every table, key, policy, function and grant of a database keeps tenants apart. It reads only the
 * catalogue, so any login may run it; what it finds is a violation unless `exceptions.ts` names it with a reason.
 */
import type pg from 'pg'
import { logins } from '../platform/db/logins.ts'
import { inspectLogins } from '../platform/db/provision.ts'
import { exceptions, type Exception } from './exceptions.ts'
import { rules } from './catalogue-rules.ts'

export interface Violation {
  /** Name of the rule, for example `row-security`. */
  readonly rule: string
  /** What breaks it: a table, an index, a grant; as SQL names it. */
  readonly object: string
  /** One sentence for the one who mends it. */
  readonly message: string
}

/** Everything in the connected database that breaks a rule of isolation; empty when the walls stand. */
export async function inspectCatalogue(client: pg.Client, allowed: readonly Exception[] = exceptions): Promise<Violation[]> {
  const found: Violation[] = []
  for (const rule of rules) {
    const { rows } = await client.query<{ object: string; why: string }>(rule.sql, rule.sql.includes('$1') ? [[...logins]] : [])
    for (const { object, why } of rows) found.push({ rule: rule.name, object, message: `${object}: ${why}. ${rule.law}` })
  }
  for (const sentence of await inspectLogins(client)) found.push({ rule: 'login-power', object: sentence, message: sentence })

  const covers = ({ rule, object }: Exception, violation: Violation) =>
    rule === violation.rule && (object === violation.object || (object.endsWith('.*') && violation.object.startsWith(object.slice(0, -1))))
  const excused = (violation: Violation) => allowed.some((exception) => covers(exception, violation))
  const stale = allowed.filter((exception) => !found.some((violation) => covers(exception, violation)))
  return [
    ...found.filter((violation) => !excused(violation)),
    ...stale.map(({ rule, object }) => ({
      rule: 'stale-exception',
      object,
      message: `${object}: an exception to ${rule} is written down that nothing uses. Remove it, or mend what it was for.`,
    })),
  ]
}
