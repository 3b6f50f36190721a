/**
 * Listens to one channel of Postgres and makes its connection again whenever it is lost. A notification is a courtesy that may be missed:
 * whoever listens is told when some may have been, and looks for itself.
 */
import pg from 'pg'

export interface ListenerOptions {
  /** Address with the listening login's name and password; a direct connection, not a transaction-mode pooler. */
  readonly url: string
  readonly channel: string
  heard(payload: string): void
  /** It listens from now on; what was notified before went unheard. */
  regained(): void
}

const reconnectMs = { least: 500, most: 30_000 }

export class Listener {
  readonly #options: ListenerOptions
  #client: pg.Client | null = null
  #reconnect: NodeJS.Timeout | null = null
  #failures = 0
  #closed = false

  constructor(options: ListenerOptions) {
    this.#options = options
  }

  /** Begins to listen; a connection that fails is made again, later and later. */
  async listen(): Promise<void> {
    if (this.#closed) return
    const { url, channel, heard, regained } = this.#options
    const client = new pg.Client({
      connectionString: url,
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
    client
      .on('error', lost)
      .on('end', lost)
      .on('notification', ({ payload }) => heard(payload ?? ''))
    try {
      await client.connect()
      await client.query(`listen ${pg.escapeIdentifier(channel)}`)
      this.#failures = 0
      if (this.#client === client) regained()
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

  async close(): Promise<void> {
    this.#closed = true
    if (this.#reconnect) clearTimeout(this.#reconnect)
    const client = this.#client
    this.#client = null
    await client?.end().catch(() => {})
  }
}
