/**
 * A change of one statement by a customer's directory, confirmed by the database in the same round trip. The group first sets the tenant
 * that is claimed, then asks whether the directory's credential still holds, which takes the tenant away again where it does not; then come
 * the line of the trail and the statement. A group of the protocol is one transaction: without a confirmation the walls refuse the line, and
 * with it everything.
 */
import type { QueryResult } from 'pg'
import type { AuditEntry } from '../../kernel/audit-entry.ts'
import { timedOut } from '../../kernel/fault.ts'
import type { Caller } from '../../kernel/scope.ts'
import { faultOf, isRefusedByWall, isUniqueViolation } from './errors.ts'
import { GroupQuery, type Prelude, type Statement } from './group-query.ts'
import { auditStatement } from './intake.ts'
import { settingsPrelude } from './settings.ts'
import type { WritePool } from './write-pool.ts'

export interface ConfirmedAdd {
  readonly caller: Caller
  /** Looks the credential up on the caller's own write login; sets `app.tenant_id` to nothing where it is not found. */
  readonly confirmation: Prelude
  readonly entry: AuditEntry
  readonly statement: Pick<Statement, 'text' | 'values'>
  readonly signal: AbortSignal | null
}

/** Sends preludes and a statement as one group on a connection of its own. */
export type Send = (preludes: readonly Prelude[], statement: Statement) => Promise<QueryResult>

/**
 * The statement's rows; null when it was not confirmed, and nothing has changed then.
 * @throws OVERLOADED, TIMED_OUT, DATABASE_UNAVAILABLE, and the driver's own error where a value is taken
 */
export async function addConfirmed<Row extends object>(send: Send, add: ConfirmedAdd): Promise<readonly Row[] | null> {
  const { caller, confirmation, entry, statement, signal } = add
  const { actor, tenantId } = caller
  if (actor.kind !== 'directory') throw new Error('Only a directory can be confirmed so.')
  if (signal?.aborted) throw timedOut()
  const claimed = settingsPrelude({ tenantId, membershipId: null, role: null, providerOrgId: null })
  try {
    return (await send([claimed, confirmation, auditStatement(caller, [entry])], statement)).rows as Row[]
  } catch (error) {
    if (isRefusedByWall(error)) return null
    throw faultOf(error)
  }
}

/** Over a login's own connections. One whose group was merely refused goes on; whatever else happened to it, it meets nobody again. */
export function sendOver(pool: WritePool): Send {
  return async (preludes, statement) => {
    const client = await pool.take()
    try {
      const result = await new Promise<QueryResult>((resolve, reject) => {
        const done = (error: Error | null, answered?: QueryResult) => (error ? reject(error) : resolve(answered!))
        client.query(new GroupQuery(preludes, statement, pool.cacheOf(client), done) as never)
      })
      client.release()
      return result
    } catch (error) {
      client.release(isUniqueViolation(error) || isRefusedByWall(error) ? undefined : (error as Error))
      throw error
    }
  }
}
