/** The platform's own key and what it seals: secrets that are not health data. Refuses to work before `boot` has found the key. */
import type { Scope } from '../../kernel/scope.ts'
import { keysUnavailable, type Kms } from '../../platform/crypto/kms.ts'
import type { KeyCache } from '../../platform/crypto/key-cache.ts'
import { keyVersionOf, open, seal, sealedValueUnreadable } from '../../platform/crypto/seal.ts'
import type { PlatformKey } from '../../platform/db/generated/client.ts'
import type { Unit } from '../../platform/db/unit.ts'
import type { VaultRepo } from './repo.ts'

export interface SecretPlace {
  readonly model: string
  readonly field: string
  readonly rowId: string
}

export interface PlatformKeys {
  boot(open: () => Unit): Promise<void>
  seal(items: readonly (SecretPlace & { readonly value: string })[]): Promise<string[]>
  open(items: readonly (SecretPlace & { readonly sealed: string })[]): Promise<string[]>
}

const firstVersion = 1
const context = { tenant: 'platform', purpose: 'platform-key' } as const
const placeOf = ({ model, field, rowId }: SecretPlace) => ({ tenantId: context.tenant, model, field, rowId })

export function createPlatformKeys({ repo, kms, cache }: { repo: VaultRepo; kms: Kms; cache: KeyCache }): PlatformKeys {
  /** As stored, still wrapped: only the login of `boot` may read the table, and secrets are opened on other logins too. */
  const rows = new Map<number, PlatformKey>()

  const use = <Result>(version: number, fn: (key: Buffer) => Result): Promise<Result> => {
    const row = rows.get(version)
    if (!row || row.state === 'DESTROYED') {
      throw keysUnavailable({ reason: `The platform's key, version ${version}, is not there. Restart the server.` })
    }
    return cache.use(`platform/${version}/${row.wrapped}`, () => kms.unwrap(row.wrapped, row.kekId, context), fn)
  }

  /**
   * Makes the key where no row says there ever was one: exactly what a new installation looks like. A lost row cannot be told
   * from that here, for the tables with sealed secrets belong to other modules; no login may update or delete it, so only a
   * partial restore loses it. Where a row exists it must unwrap: a KMS key file made anew beside it (its id differs) stops the
   * start with KEYS_UNAVAILABLE, and no new platform key is made.
   */
  const ensure = async (scope: Scope): Promise<void> => {
    let found = await repo.platformKeys(scope)
    if (found.length === 0) {
      const { key, wrapped, keyId } = await kms.generate(context)
      key.fill(0)
      const first = await repo.addPlatformKey(scope, { version: firstVersion, wrapped, kekId: keyId })
      if (first) note(scope, 'platform_key.created', firstVersion)
      found = await repo.platformKeys(scope)
    }
    for (const row of found) rows.set(row.version, row)
    await use(newest(), () => undefined)
    note(scope, 'platform_key.opened', newest())
  }

  /** The version that seals. */
  const newest = (): number => {
    const active = [...rows.values()].filter((row) => row.state === 'ACTIVE')
    return Math.max(firstVersion, ...active.map((row) => row.version))
  }

  return {
    boot: (openUnit) => openUnit().command(ensure),

    async seal(items) {
      const version = newest()
      return use(version, (key) => items.map((item) => seal(key, version, placeOf(item), item.value)))
    },

    async open(items) {
      const values: string[] = []
      for (const item of items) {
        const version = keyVersionOf(item.sealed)
        // A version that never existed is a forged value, not a missing key.
        if (!rows.has(version) && rows.size > 0) throw sealedValueUnreadable()
        values.push(await use(version, (key) => open(key, placeOf(item), item.sealed)))
      }
      return values
    },
  }
}

function note(scope: Scope, action: string, version: number): void {
  scope.unit.record({ action, resource: 'PlatformKey', outcome: 'done', detail: { version } })
}
