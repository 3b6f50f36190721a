/** Vault's use cases. Health data fails closed: without its key nothing is sealed and nothing is opened. */
import { randomBytes } from 'node:crypto'
import { forbidden } from '../../kernel/fault.ts'
import type { Scope } from '../../kernel/scope.ts'
import { checked } from '../../platform/contract.ts'
import type { KeyCache } from '../../platform/crypto/key-cache.ts'
import { keysUnavailable, type Kms } from '../../platform/crypto/kms.ts'
import { openRecord, sealedValueUnreadable, sealRecord } from '../../platform/crypto/seal.ts'
import { isUniqueViolation } from '../../platform/db/errors.ts'
import type { TenantKey } from '../../platform/db/generated/client.ts'
import { subjectErased, subjectKeyExists, tenantKeyExists, vaultMethods, type Vault } from './contract.ts'
import type { PlatformKeys } from './platform-key.ts'
import type { SubjectKeyRow, VaultRepo } from './repo.ts'
import { keyBytes, unwrapKey, wrapKey } from './wrap.ts'

/** Records are sealed with a subject's own key, which has one version: a rotation wraps it anew and leaves records alone. */
const subjectKeyVersion = 1

export interface VaultParts {
  readonly repo: VaultRepo
  readonly kms: Kms
  readonly cache: KeyCache
  readonly platform: PlatformKeys
}

export function createVault({ repo, kms, cache, platform }: VaultParts): Vault {
  /** Rows are read by each caller; only the KMS is asked inside a shared load, so no request waits on another's transaction. */
  const useTenantKey = <Result>(row: TenantKey, fn: (key: Buffer) => Result): Promise<Result> =>
    cache.use(
      `tenant/${row.tenantId}/${row.version}/${row.wrapped}`,
      () => kms.unwrap(row.wrapped, row.kekId, contextOf(row.tenantId)),
      fn,
    )

  const useSubjectKey = <Result>(row: SubjectKeyRow, fn: (key: Buffer) => Result): Promise<Result> => {
    const place = { tenantId: row.tenantId, subjectId: row.subjectId, version: row.tenantKeyVersion }
    return cache.use(
      `subject/${row.tenantId}/${row.subjectId}/${row.wrapped}`,
      () => useTenantKey(row.tenantKey, (dataKey) => unwrapKey(dataKey, place, row.wrapped)),
      fn,
    )
  }

  const keysOf = async (scope: Scope, items: readonly { readonly subjectId: string }[]): Promise<(subjectId: string) => SubjectKeyRow> => {
    const subjectIds = [...new Set(items.map((item) => item.subjectId))]
    const rows = subjectIds.length === 0 ? [] : await repo.subjectKeys(scope, subjectIds)
    const bySubject = new Map(rows.map((row) => [row.subjectId, row]))
    return (subjectId) => {
      const row = bySubject.get(subjectId)
      if (!row) throw keysUnavailable({ reason: 'A person\'s key is missing. Restore the database as it was at one moment.' })
      return row
    }
  }

  const isDestroyed = (row: SubjectKeyRow): boolean => row.state === 'DESTROYED' || row.tenantKey.state === 'DESTROYED'

  return checked(vaultMethods, {
    async provisionTenant(scope) {
      if (scope.actor.kind !== 'operator') throw forbidden({ permission: 'operator' })
      // Subject keys refer to their data key, so a tenant without any data key has nothing sealed.
      if (await repo.hasTenantKey(scope)) throw tenantKeyExists()
      const version = 1
      const { key, wrapped, keyId } = await kms.generate(contextOf(scope.tenantId))
      key.fill(0)
      await repo.addTenantKey(scope, { version, wrapped, kekId: keyId }).catch((error: unknown) => {
        throw isUniqueViolation(error) ? tenantKeyExists() : error
      })
      scope.unit.record({ action: 'tenant_key.created', resource: 'TenantKey', outcome: 'done', detail: { version } })
      return { version }
    },

    async createSubjects(scope, { subjectIds }) {
      const dataKey = await repo.activeTenantKey(scope)
      if (!dataKey) throw keysUnavailable({ reason: 'This tenant has no key yet. Run: maristan tenant create, or restore its keys.' })
      const { tenantId } = scope
      const version = dataKey.version
      const rows = await useTenantKey(dataKey, (key) =>
        subjectIds.map((subjectId) => {
          const fresh = randomBytes(keyBytes)
          const wrapped = wrapKey(key, { tenantId, subjectId, version }, fresh)
          fresh.fill(0)
          return { subjectId, tenantKeyVersion: version, wrapped }
        }),
      )
      await repo.addSubjectKeys(scope, rows).catch((error: unknown) => {
        throw isUniqueViolation(error) ? subjectKeyExists() : error
      })
      return {}
    },

    async seal(scope, { items }) {
      const keyOf = await keysOf(scope, items)
      const sealed: string[] = []
      for (const { subjectId, record, ...place } of items) {
        const row = keyOf(subjectId)
        if (isDestroyed(row)) throw subjectErased()
        sealed.push(await useSubjectKey(row, (key) => sealRecord(key, subjectKeyVersion, { tenantId: scope.tenantId, ...place }, record)))
      }
      return { sealed }
    },

    async open(scope, { items }) {
      const keyOf = await keysOf(scope, items)
      const opened: Awaited<ReturnType<Vault['open']>> = { records: [], refusals: [] }
      for (const { subjectId, sealed, ...place } of items) {
        const row = keyOf(subjectId)
        const record = isDestroyed(row)
          ? null
          : await useSubjectKey(row, (key) => readable(() => openRecord(key, { tenantId: scope.tenantId, ...place }, sealed)))
        opened.records.push(record)
        opened.refusals.push(record ? null : isDestroyed(row) ? 'KEY_DESTROYED' : 'UNREADABLE')
      }
      return opened
    },

    async sealSecrets(_scope, { items }) {
      return { sealed: await platform.seal(items) }
    },

    async openSecrets(_scope, { items }) {
      return { values: await platform.open(items) }
    },
  })
}

/** What the KMS binds a tenant's data key to. */
const contextOf = (tenantId: string) => ({ tenant: tenantId, purpose: 'tenant-data-key' })

/** One value that does not open must not hide the rest of its page. */
function readable<Result>(attempt: () => Result): Result | null {
  try {
    return attempt()
  } catch (error) {
    if (sealedValueUnreadable.is(error)) return null
    throw error
  }
}
