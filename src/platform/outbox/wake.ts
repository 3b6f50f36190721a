/**
 * Wakes a loop when Postgres notifies a channel, and at the latest after a while: a notification is a courtesy that may be
 * lost, so nothing depends on one. It carries nothing.
 */
import { Listener } from '../db/listener.ts'

export interface WakeOptions {
  /** Address with the listening login's name and password; a direct connection, not a transaction-mode pooler. */
  readonly url: string
  readonly channel: string
  /** The longest wait for a wake-up, in milliseconds. */
  readonly pollMs: number
}

export class Wake {
  readonly #pollMs: number
  readonly #listener: Listener
  #closed = false
  #ringing = false
  #resume: (() => void) | null = null

  constructor({ url, channel, pollMs }: WakeOptions) {
    this.#pollMs = pollMs
    // What was notified while nobody listened is found by looking.
    this.#listener = new Listener({ url, channel, heard: () => this.ring(), regained: () => this.ring() })
  }

  /** Begins to listen; a connection that fails is made again, later and later. */
  listen(): Promise<void> {
    return this.#listener.listen()
  }

  /** Ends the present wait, or makes the next one end at once. */
  ring(): void {
    this.#ringing = true
    this.#resume?.()
  }

  /** Resolves at the next ring, or when the longest wait is over. */
  async wait(): Promise<void> {
    if (!this.#ringing && !this.#closed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.#pollMs)
        this.#resume = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#resume = null
    }
    this.#ringing = false
  }

  async close(): Promise<void> {
    this.#closed = true
    this.ring()
    await this.#listener.close()
  }
}
