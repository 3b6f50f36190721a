/** A mutation field: one command, one transaction, a typed answer. What happens in it is its module's service. */
import { DeniedFault } from '../../kernel/fault.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { Login } from '../db/logins.ts'
import { faultClasses } from './builder.ts'
import type { Context } from './context.ts'

/** The `errors` option of every mutation field: any kind of fault may come instead of the result. */
export const mayFail = { types: Object.values(faultClasses) }

/**
 * Runs a service's use case as the command of a mutation field. A refusal undoes the command and is written to the audit
 * trail in a transaction of its own.
 */
export async function inCommand<T>(context: Context, name: string, work: (scope: Scope) => Promise<T>, login?: Login): Promise<T> {
  try {
    return await context.unit.command(work, login)
  } catch (error) {
    if (error instanceof DeniedFault) {
      context.unit.record({ action: 'access.denied', resource: 'Mutation', outcome: 'denied', detail: { field: name, code: error.code } })
    }
    throw error
  }
}
