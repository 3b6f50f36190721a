/**
 * Who waits for what to change: the source of every subscription. It hears from Postgres that something changed, in whichever process, and
 * says no more than "look again": it never queries, keeps nothing of what changed, and a hundred changes in a row are one.
 */
import { fault } from '../../kernel/fault.ts'
import type { Actor, Caller } from '../../kernel/scope.ts'
import { Listener } from '../db/listener.ts'
import type { TopicOf } from '../db/topic.ts'

export const tooManyWatches = fault(
  'limited',
  'TOO_MANY_SUBSCRIPTIONS',
  'This session watches as much as it may. End a subscription before the next one.',
)

/** `changed`: look again. `check`: nothing was heard for a while; make sure that the watcher may still watch. */
export type Tick = 'changed' | 'check'

export interface Watching {
  readonly caller: Caller
  /** What is watched; the caller's own session and membership are watched besides. */
  readonly ids: readonly string[]
  /** Ends the watch. */
  readonly signal: AbortSignal
}

export interface WatchersOptions {
  /** Address with the listening login's name and password; a direct connection, not a transaction-mode pooler. */
  readonly url: string
  readonly topicOf: TopicOf
  /** The longest silence before a `check`; 30 seconds unless told. */
  readonly checkMs?: number
  /** The shortest time between two ticks; a quarter of a second unless told. */
  readonly pauseMs?: number
}

const mostWatchesOfOne = 20

/** One watch: rung, or not. */
class Bell {
  #rung = false
  #wake: (() => void) | null = null

  ring(): void {
    this.#rung = true
    this.#wake?.()
  }

  /** True when it was rung, false when the time was over or the signal came. */
  async wait(ms: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#rung) await this.#sleep(ms, signal, (wake) => (this.#wake = wake))
    this.#wake = null
    const rung = this.#rung
    this.#rung = false
    return rung
  }

  /** Lets time pass, whatever rings. */
  pause(ms: number, signal: AbortSignal): Promise<void> {
    return this.#sleep(ms, signal, () => {})
  }

  #sleep(ms: number, signal: AbortSignal, wakeable: (wake: () => void) => void): Promise<void> {
    if (signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal.addEventListener('abort', done)
      wakeable(done)
    })
  }
}

function holderOf({ tenantId, actor }: Caller): string {
  return `${tenantId} ${idsOf(actor).at(0) ?? actor.kind}`
}

/** What ends a caller's access when it changes: first the one thing that all of its watches share. */
function idsOf(actor: Actor): string[] {
  if (actor.kind === 'member') return [actor.sessionId, actor.membershipId]
  return actor.kind === 'integration' ? [actor.tokenId] : []
}

export class Watchers {
  readonly #options: WatchersOptions
  readonly #bells = new Map<string, Set<Bell>>()
  readonly #held = new Map<string, number>()
  #listener: Listener | null = null

  constructor(options: WatchersOptions) {
    this.#options = options
  }

  /** How many watches there are. */
  get count(): number {
    return [...this.#held.values()].reduce((sum, held) => sum + held, 0)
  }

  /**
   * Ticks at once, then after every change of what is watched, until the signal. Changes during a tick's work become the next tick.
   * @throws TOO_MANY_SUBSCRIPTIONS at the first tick
   */
  async *watch({ caller, ids, signal }: Watching): AsyncGenerator<Tick, void, void> {
    const { topicOf, checkMs = 30_000, pauseMs = 250 } = this.#options
    const { tenantId, actor } = caller
    const topics = new Set([...ids, ...idsOf(actor), tenantId].map((id) => topicOf(tenantId, id)))
    const holder = holderOf(caller)
    const bell = new Bell()
    this.#enter(holder, topics, bell)
    try {
      yield 'changed'
      while (!signal.aborted) {
        await bell.pause(pauseMs, signal)
        const rung = await bell.wait(checkMs, signal)
        if (!signal.aborted) yield rung ? 'changed' : 'check'
      }
    } finally {
      this.#leave(holder, topics, bell)
    }
  }

  #enter(holder: string, topics: ReadonlySet<string>, bell: Bell): void {
    const held = this.#held.get(holder) ?? 0
    if (held >= mostWatchesOfOne) throw tooManyWatches()
    this.#held.set(holder, held + 1)
    for (const topic of topics) this.#bells.set(topic, (this.#bells.get(topic) ?? new Set()).add(bell))
    if (this.#listener) return
    this.#listener = new Listener({
      url: this.#options.url,
      channel: 'maristan_watch',
      heard: (topic) => this.#bells.get(topic)?.forEach((one) => one.ring()),
      // What was missed nobody knows: everybody looks again.
      regained: () => this.#bells.forEach((bells) => bells.forEach((one) => one.ring())),
    })
    void this.#listener.listen()
  }

  #leave(holder: string, topics: ReadonlySet<string>, bell: Bell): void {
    const held = this.#held.get(holder)! - 1
    if (held > 0) this.#held.set(holder, held)
    else this.#held.delete(holder)
    for (const topic of topics) {
      const bells = this.#bells.get(topic)!
      bells.delete(bell)
      if (bells.size === 0) this.#bells.delete(topic)
    }
    // A connection of its own is kept only while somebody watches.
    if (this.#held.size > 0) return
    void this.#listener?.close()
    this.#listener = null
  }
}
