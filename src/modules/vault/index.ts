/** Vault: keys, sealing and opening. It never hands out a key. */
import { createKeyCache } from '../../platform/crypto/key-cache.ts'
import { defineModule } from '../../platform/module.ts'
import './contract.ts'
import { createPlatformKeys } from './platform-key.ts'
import { createRepo } from './repo.ts'
import { createVault } from './service.ts'

export const vault = defineModule({
  name: 'vault',
  summary: 'Keys, and the one place where they seal and open. It never hands out a key.',
  needs: [],
  owns: ['TenantKey', 'SubjectKey', 'PlatformKey'],
  build: ({ db, kms }) => {
    const repo = createRepo(db)
    const cache = createKeyCache()
    const platform = createPlatformKeys({ repo, kms, cache })
    return { contract: createVault({ repo, kms, cache, platform }), platform, cache, kms }
  },
  boot: ({ platform }, open) => platform.boot(open),
  release({ cache, kms }) {
    cache.close()
    kms.close()
  },
})
