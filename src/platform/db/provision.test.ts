/** Provisioning beside others: the logins belong to the whole cluster. */
import { expect, test } from 'vitest'
import { freshDatabase, loginSecret, withCluster } from '../../../test/kit/postgres.ts'
import { provision } from './provision.ts'

test('databases of one cluster are provisioned at once, each twice', { timeout: 60_000 }, async () => {
  const databases = await Promise.all(Array.from({ length: 4 }, freshDatabase))
  const all = databases.flatMap(({ ownerUrl }) => [ownerUrl, ownerUrl])
  await withCluster(() => Promise.all(all.map((ownerUrl) => provision({ ownerUrl, loginSecret: loginSecret() }))))
  const roles = await databases[0]!.owner<{ ready: boolean }>("select bool_and(rolcanlogin) as ready from pg_roles where rolname like 'maristan\\_%\\_read'")
  expect(roles).toEqual([{ ready: true }])
  await Promise.all(databases.map((one) => one.drop()))
})
