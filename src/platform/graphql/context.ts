/** What every resolver sees: who asks, and the unit of work through which everything is read and changed. */
import type { Caller, Plane, Scope } from '../../kernel/scope.ts'
import type { Locale } from '../../kernel/locale.ts'
import type { Tx, Unit } from '../db/unit.ts'

export interface Context {
  readonly caller: Caller
  readonly plane: Plane
  readonly locale: Locale
  readonly unit: Unit
  /** For contracts. */
  readonly scope: Scope
  /** For plugin-prisma, which keeps it per context: the unit's permanent facade. */
  readonly db: Tx
  /** Headers for the answer; a sign-in sets its cookie here. */
  readonly answer: { setCookie(value: string): void }
}

export function createContext(options: { unit: Unit; plane: Plane; locale: Locale; answer: Context['answer'] }): Context {
  const { unit, plane, locale, answer } = options
  return { caller: unit.caller, plane, locale, unit, scope: unit.scope, db: unit.db, answer }
}
