/** The ground of a proof on committed rows: the owner plants on its own connection, every login attacks on a connection of its own. */
import pg from 'pg'
import { urlFor, type Login } from '../../src/platform/db/logins.ts'
import { settingsPrelude, type Settings } from '../../src/platform/db/settings.ts'
import { outcomeOf, successOf, type Ground, type Outcome } from '../../src/proof/ground.ts'

export class RealGround implements Ground {
  readonly #ownerUrl: string
  readonly #secret: string
  readonly #clients = new Map<string, Promise<pg.Client>>()

  constructor(ownerUrl: string, secret: string) {
    this.#ownerUrl = ownerUrl
    this.#secret = secret
  }

  client(as: Login | 'owner'): Promise<pg.Client> {
    let client = this.#clients.get(as)
    if (!client) {
      const url = as === 'owner' ? this.#ownerUrl : urlFor(as, this.#ownerUrl, this.#secret)
      const made = new pg.Client({ connectionString: url })
      client = made.connect().then(() => made)
      this.#clients.set(as, client)
    }
    return client
  }

  async run(as: Login | 'owner', settings: Settings, text: string, values: readonly unknown[], keep: boolean): Promise<Outcome> {
    const client = await this.client(as)
    const told = settingsPrelude(settings)
    await client.query('begin')
    await client.query(told.text, [...told.values])
    try {
      const outcome = successOf(await client.query(text, [...values]))
      await client.query(keep ? 'commit' : 'rollback')
      return outcome
    } catch (error) {
      await client.query('rollback')
      return outcomeOf(error)
    }
  }

  async close(): Promise<void> {
    for (const client of this.#clients.values()) await (await client).end()
  }
}
