/** Vault: keys, sealing and opening. It never hands out a key. */
import { createKeyCache } from '../../platform/crypto/key-cache.ts'
import { defineModule } from '../../platform/module.ts'
import { keyRotated } from './contract.ts'
import { vaultGraph } from './graph.ts'
import { createKeyRing } from './key-ring.ts'
import { createOwnKeys } from './own-key.ts'
import { createPlatformKeys } from './platform-key.ts'
import { createRepo } from './repo.ts'
import { createRotation } from './rotation.ts'
import { rotateWhenDue } from './rotate-when-due.ts'
import { createVault } from './service.ts'

export const vault = defineModule({
  name: 'vault',
  summary: 'Keys, and the one place where they seal and open. It never hands out a key.',
  needs: [],
  owns: ['TenantKey', 'SubjectKey', 'LookupKey', 'PlatformKey', 'ReencryptionRun', 'ErasureCertificate'],
  events: [keyRotated],
  // Rotation replaces a batch of wraps in one statement, and goes by the database's clock.
  rawSql: true,
  build: ({ db, sql, kms, clock, envelopes }) => {
    const repo = createRepo(db, sql)
    const cache = createKeyCache()
    const ring = createKeyRing({ kms, cache })
    const platform = createPlatformKeys({ repo, kms, cache })
    const rotation = createRotation({ repo, kms, ring })
    const ownKeys = createOwnKeys({ repo, kms, ring, clock })
    const contract = createVault({ repo, kms, ring, platform, rotation, ownKeys, envelopes })
    return { contract, platform, rotation, ownKeys, cache, kms }
  },
  boot: ({ platform }, open) => platform.boot(open),
  jobs: [
    { name: 'rotate-keys', cron: '23 * * * *', inEveryTenant: true, runInSteps: ({ rotation }, open) => rotateWhenDue(rotation, open) },
    { name: 'watch-own-keys', cron: '* * * * *', inEveryTenant: true, runInSteps: ({ ownKeys }, open) => ownKeys.watch(open) },
  ],
  release({ cache, kms }) {
    cache.close()
    kms.close()
  },
  graph: (builder, _refs, { contract }) => vaultGraph(builder, contract),
})
