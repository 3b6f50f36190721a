/**
 * Takes from the database's logins every power with which the server refuses to start, and makes their rights those that the migrations
 * give. It touches no other role.
 */
import type pg from 'pg'
import { powersOf } from '../platform/db/provision.ts'
import { rightsToMend } from '../platform/db/rights.ts'

/** As the owner of the database, with every migration applied. @returns what it ran. */
export async function mendLogins(client: pg.Client): Promise<string[]> {
  const { powers } = await powersOf(client)
  const mended: string[] = []
  const run = async (statements: readonly string[]) => {
    for (const statement of statements) {
      await client.query(statement)
      mended.push(statement)
    }
  }
  await run(powers.map(({ mending }) => mending))
  // Who no longer owns a table has what is granted on it, and nothing else.
  await run(await rightsToMend(client))
  return mended
}
