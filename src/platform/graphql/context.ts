/** What every resolver sees: who asks, and the unit of work through which everything is read and changed. */
import type { Caller, Plane, Scope } from '../../kernel/scope.ts'
import type { Locale } from '../../kernel/locale.ts'
import type { Tx, Unit } from '../db/unit.ts'
import type { Tick } from '../watch/watchers.ts'

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
  /** What gathers for the length of this operation, by who gathers. Here and not in a WeakMap by contexts, for the reason that `Bag` gives. */
  readonly gathering: Map<object, unknown>
  /** The source of a subscription: ticks now, and whenever one of these ids may have changed. */
  watch(ids: readonly string[]): AsyncIterable<Tick>
}

export interface ContextOptions extends Pick<Context, 'unit' | 'plane' | 'locale' | 'answer'> {
  /** Absent where nobody listens: subscriptions are refused there. */
  readonly watch?: Context['watch']
}

export function createContext({ unit, plane, locale, answer, watch = nobodyListens }: ContextOptions): Context {
  return { caller: unit.caller, plane, locale, unit, scope: unit.scope, db: unit.db, answer, gathering: new Map(), watch }
}

const nobodyListens = (): never => {
  throw new Error('Nobody listens here.')
}
