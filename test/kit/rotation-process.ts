/** A process that turns one tenant's key in batches of five and tells its parent after each: to be killed. */
import { newId } from '../../src/kernel/id.ts'
import { vault } from '../../src/modules/vault/index.ts'
import { createKeyRing } from '../../src/modules/vault/key-ring.ts'
import { createRepo } from '../../src/modules/vault/repo.ts'
import { createRotation } from '../../src/modules/vault/rotation.ts'
import { createKeyCache } from '../../src/platform/crypto/key-cache.ts'
import { openLocalKms } from '../../src/platform/crypto/kms-local.ts'
import { Database } from '../../src/platform/db/database.ts'
import { systemCaller } from '../../src/platform/jobs/system.ts'
import { platformFor, type Services } from '../../src/platform/module.ts'

const [url, loginSecret, file, tenantId] = process.argv.slice(2) as [string, string, string, string]
const database = new Database({ url, loginSecret, preparedStatements: true })
const kms = await openLocalKms({ file, mayCreate: false })
const { db, sql } = platformFor(vault, {} as Services)
const rotation = createRotation({ repo: createRepo(db, sql), kms, ring: createKeyRing({ kms, cache: createKeyCache() }) })
const command = <T>(work: Parameters<ReturnType<Database['unit']>['command']>[0]) =>
  database.unit(systemCaller(tenantId, 'test', newId())).command(work) as Promise<T>

await command((scope) => rotation.start(scope))
for (;;) {
  await command((scope) => rotation.batch(scope, 5))
  process.send!('batch')
}
