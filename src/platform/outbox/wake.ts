/**
 * Wakes a loop when Postgres notifies a channel, and at the latest after a while: a notification is a courtesy that may be
 * lost, so nothing depends on one. It carries nothing.
 */
import pg from 'pg'

export interface WakeOptions {
  /** Address with the listening login's name and password; a direct connection, not a transaction-mode pooler. */
  readonly url: string
  readonly channel: string
  /** The longest wait for a wake-up, in milliseconds. */
  readonly pollMs: number
}

const reconnectMs = { least: 500, most: 30_000 }

export class Wake {
  readonly #options: WakeOptions
  #client: pg.Client | null = null
  #reconnect: NodeJS.Timeout | null = null
  #failures = 0
  #closed = false
  #ringing = false
  #resume: (() => void) | null = null

  constructor(options: WakeOptions) {
    this.#options = options
  }

  /** Begins to listen; a connection that fails is made again, later and later. */
  async listen(): Promise<void> {
    if (this.#closed) return
    const client = new pg.Client({
      connectionString: this.#options.url,
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
      application_name: 'maristan listen',
    })
    this.#client = client
    // Once for whatever ends this connection, whether it failed to open or broke later.
    const lost = () => {
      if (this.#client !== client) return
      this.#client = null
      void client.end().catch(() => {})
      this.#listenAgain()
    }
    client.on('error', lost).on('end', lost).on('notification', () => this.ring())
    try {
      await client.connect()
      await client.query(`listen ${pg.escapeIdentifier(this.#options.channel)}`)
      this.#failures = 0
      // What was notified while nobody listened is found by looking.
      this.ring()
    } catch {
      lost()
    }
  }

  #listenAgain(): void {
    if (this.#closed) return
    const waitMs = Math.min(reconnectMs.most, reconnectMs.least * 2 ** this.#failures++)
    this.#reconnect = setTimeout(() => void this.listen(), waitMs)
    this.#reconnect.unref()
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
        const timer = setTimeout(resolve, this.#options.pollMs)
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
    if (this.#reconnect) clearTimeout(this.#reconnect)
    this.ring()
    const client = this.#client
    this.#client = null
    await client?.end().catch(() => {})
  }
}
