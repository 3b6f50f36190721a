/**
 * The laws of the guard, by name. The guard of the product keeps them all and offers no way to drop one; a test may build a guard
 * without a single law, to see what that law alone holds back.
 */
import type { ReasonCode } from './reasons.ts'
import type { Refused } from './verdict.ts'

/** Thrown inside the guard only; its door turns it into a verdict. */
export class Refusal extends Error {
  readonly reason: ReasonCode
  readonly detail: string

  constructor(reason: ReasonCode, detail: string) {
    super(`${reason}: ${detail}`)
    this.name = 'Refusal'
    this.reason = reason
    this.detail = detail
  }
}

export class Laws {
  readonly #without: ReasonCode | null

  /** @param without the one law that a test leaves out; null keeps all. */
  constructor(without: ReasonCode | null) {
    this.#without = without
  }

  /**
   * Refuses with `reason` unless `kept`.
   * @param detail what was found, for IT; asked only when the law is broken.
   */
  demand(kept: boolean, reason: ReasonCode, detail: () => string): void {
    if (!kept && this.#without !== reason) throw new Refusal(reason, detail())
  }

  /** Runs named checks in their order; the first that finds a breach refuses with its own name. */
  hold<Subject>(checks: readonly Check<Subject>[], subject: Subject): void {
    for (const { reason, breach } of checks) {
      const found = breach(subject)
      if (found !== null) this.demand(false, reason, () => found)
    }
  }
}

/** One law over a message that is already read: null when kept, else what was found. */
export interface Check<Subject> {
  readonly reason: ReasonCode
  breach(subject: Subject): string | null
}

/** Every law. */
export const allLaws = new Laws(null)

/** What IT may see of a value from outside: one line, printable, at most 80 characters. */
export function shown(value: string | null): string {
  if (value === null) return 'nothing'
  const printable = value
    .slice(0, 160)
    .replace(/[\p{C}\p{Z}]+/gu, ' ')
    .trim()
  const cut = [...printable].slice(0, 80).join('')
  return `"${cut}${cut.length < printable.length || value.length > 160 ? '…' : ''}"`
}

/** A refusal as a verdict; anything else is a defect of ours and is thrown on. */
export function asRefused(error: unknown): Refused {
  if (!(error instanceof Refusal)) throw error
  return { ok: false, reason: error.reason, detail: error.detail.slice(0, 300) }
}
