/**
 * What every statement of a unit of work says first: for whom it is. Where that is only remembered, the first statements carry along the look-up
 * that confirms it, and nothing they answer counts unless the look-up comes to what was expected.
 */
import type { Prelude } from './group-query.ts'
import { settingsPrelude, type Settings } from './settings.ts'

/** The statement that looks the asker up on the login that asks: it answers its proof, or takes the tenant away from what follows. */
export type ConfirmedBy = Prelude & { readonly proof: string }

/** The asker is not, or no longer, who was expected: nothing was answered, and nothing of it may be kept. */
export class NotConfirmed extends Error {
  constructor() {
    super('Who asked is no longer who was expected.')
    this.name = 'NotConfirmed'
  }
}

export class Standing {
  readonly #settings: readonly Prelude[]
  /** What confirms, until it did. */
  #confirming: readonly Prelude[] | null
  #isRefuted = false

  constructor(settings: Settings, confirmedBy: ConfirmedBy | null = null) {
    this.#settings = [settingsPrelude(settings)]
    this.#confirming = confirmedBy && [...this.#settings, confirmedBy]
  }

  get isConfirmed(): boolean {
    return this.#confirming === null
  }

  get isRefuted(): boolean {
    return this.#isRefuted
  }

  /** Sends what has to come first along with a statement. @throws NotConfirmed, from then on always. */
  async lead<T>(send: (preludes: readonly Prelude[]) => Promise<T>): Promise<T> {
    if (this.#isRefuted) throw new NotConfirmed()
    const confirming = this.#confirming
    try {
      const answer = await send(confirming ?? this.#settings)
      if (this.#isRefuted) throw new NotConfirmed()
      if (confirming) this.#confirming = null
      return answer
    } catch (error) {
      if (error instanceof NotConfirmed) this.#isRefuted = true
      throw error
    }
  }
}
