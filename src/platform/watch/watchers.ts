/**
 * Who waits for what to change: the source of every subscription. While anybody watches, it asks the audit trail four times a second what
 * was changed, by whichever process, and says no more than "look again": it keeps nothing of a change, and many in a row are one.
 */
import { fault } from '../../kernel/fault.ts'
import type { Actor, Caller } from '../../kernel/scope.ts'
import type { Changes } from '../db/gate.ts'
import type { Log } from '../http/log.ts'

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
  /** What changed in these tenants since a snapshot, at most 1,001 ids; and the snapshot of the answer. */
  changes(since: string | null, tenantIds: readonly string[]): Promise<Changes>
  readonly log: Log
  /** Time between two looks, and so between two ticks of a watch; a quarter of a second unless told. */
  readonly lookMs?: number
  /** The longest silence before a `check`; 30 seconds unless told. */
  readonly checkMs?: number
}

const mostWatchesOfOne = 20
/** More changes than this are not told apart. */
const mostChanges = 1_000

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const nameOf = (tenantId: string, id: string): string => `${tenantId} ${id}`

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
    if (!this.#rung && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer)
          signal.removeEventListener('abort', done)
          resolve()
        }
        const timer = setTimeout(done, ms)
        signal.addEventListener('abort', done)
        this.#wake = done
      })
    }
    this.#wake = null
    const rung = this.#rung
    this.#rung = false
    return rung
  }
}

/** What ends a caller's access when it changes, most particular first. */
function idsOf(actor: Actor): string[] {
  if (actor.kind === 'member') return [actor.sessionId, actor.membershipId]
  return actor.kind === 'integration' ? [actor.tokenId] : []
}

export class Watchers {
  readonly #options: WatchersOptions
  /** By tenant, by id. */
  readonly #bells = new Map<string, Map<string, Set<Bell>>>()
  readonly #held = new Map<string, number>()
  /** Where the looks of now began; null while nobody watches. */
  #begun: Promise<string> | null = null

  constructor(options: WatchersOptions) {
    this.#options = options
  }

  /**
   * Ticks at once, then after every change of what is watched, until the signal. Changes during a tick's work become the next tick.
   * @throws TOO_MANY_SUBSCRIPTIONS at the first tick
   */
  async *watch({ caller, ids, signal }: Watching): AsyncGenerator<Tick, void, void> {
    const { checkMs = 30_000 } = this.#options
    const { tenantId, actor } = caller
    const own = idsOf(actor)
    const holder = nameOf(tenantId, own[0] ?? actor.kind)
    const watched = new Set([...ids, ...own])
    const bell = new Bell()
    this.#enter(holder, tenantId, watched, bell)
    try {
      // What changes after the first tick is seen by a look that began before it.
      await (this.#begun ??= this.#begin())
      yield 'changed'
      while (!signal.aborted) {
        const rung = await bell.wait(checkMs, signal)
        if (!signal.aborted) yield rung ? 'changed' : 'check'
      }
    } finally {
      this.#leave(holder, tenantId, watched, bell)
    }
  }

  #enter(holder: string, tenantId: string, ids: ReadonlySet<string>, bell: Bell): void {
    const held = this.#held.get(holder) ?? 0
    if (held >= mostWatchesOfOne) throw tooManyWatches()
    this.#held.set(holder, held + 1)
    const here = this.#bells.get(tenantId) ?? new Map<string, Set<Bell>>()
    this.#bells.set(tenantId, here)
    for (const id of ids) here.set(id, (here.get(id) ?? new Set()).add(bell))
  }

  #leave(holder: string, tenantId: string, ids: ReadonlySet<string>, bell: Bell): void {
    const held = this.#held.get(holder)! - 1
    if (held > 0) this.#held.set(holder, held)
    else this.#held.delete(holder)
    const here = this.#bells.get(tenantId)!
    for (const id of ids) {
      here.get(id)!.delete(bell)
      if (here.get(id)!.size === 0) here.delete(id)
    }
    if (here.size === 0) this.#bells.delete(tenantId)
  }

  async #begin(): Promise<string> {
    try {
      const { snapshot } = await this.#options.changes(null, [])
      void this.#look(snapshot)
      return snapshot
    } catch (error) {
      this.#begun = null
      throw error
    }
  }

  /** Looks for changes as long as anybody watches. A look that fails loses nothing: the next one begins where it began. */
  async #look(from: string): Promise<void> {
    const { changes, log, lookMs = 250 } = this.#options
    for (let since = from; ; ) {
      await pause(lookMs)
      if (this.#bells.size === 0) break
      try {
        const { snapshot, changed } = await changes(since, [...this.#bells.keys()])
        since = snapshot
        if (changed.length > mostChanges) this.#bells.forEach((here) => here.forEach((bells) => bells.forEach((bell) => bell.ring())))
        else for (const { tenantId, id } of changed) this.#bells.get(tenantId)?.get(id)?.forEach((bell) => bell.ring())
      } catch (error) {
        log.warn('watch.look_failed', { error })
      }
    }
    this.#begun = null
  }
}
