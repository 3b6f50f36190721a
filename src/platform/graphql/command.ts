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
export function inCommand<T>(context: Context, name: string, work: (scope: Scope) => Promise<T>, login?: Login): Promise<T> {
  return refusalKept(context, name, () => context.unit.command(work, login))
}

/**
 * As `inCommand`, for a use case whose first deed is a statement: who asks is confirmed in the same round trip. Nothing is committed, nor
 * answered, for anybody else; what cannot be undone, such as a letter or a call to another server, must come after.
 */
export function inPlainCommand<T>(context: Context, name: string, work: (scope: Scope) => Promise<T>): Promise<T> {
  return refusalKept(context, name, () => context.unit.command(work, undefined, { confirmsLate: true }))
}

/** As `inCommand`, for a use case that may concern thousands of people: it may take up to a minute. */
export function inLongCommand<T>(context: Context, name: string, work: (scope: Scope) => Promise<T>, login?: Login): Promise<T> {
  return refusalKept(context, name, () => context.unit.command(work, login, { isLong: true }))
}

async function refusalKept<T>(context: Context, name: string, command: () => Promise<T>): Promise<T> {
  try {
    return await command()
  } catch (error) {
    if (error instanceof DeniedFault) {
      context.unit.record({ action: 'access.denied', resource: 'Mutation', outcome: 'denied', detail: { field: name, code: error.code } })
    }
    throw error
  }
}
