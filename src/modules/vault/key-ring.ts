/**
 * Unwraps the keys of rows that were read already, and keeps them for minutes: KMS -> data key -> subject or lookup key. Refuses rows
 * whose key is destroyed. A key never outlives, in memory, the one it was unwrapped with: when a KMS stops giving a tenant's data key,
 * all that it opens is dark within the cache's time.
 */
import type { KeyCache } from '../../platform/crypto/key-cache.ts'
import { keysUnavailable, type Kms, type KmsContext } from '../../platform/crypto/kms.ts'
import type { LookupKey, SubjectKey, TenantKey } from '../../platform/db/generated/client.ts'
import { unwrapKey, wrapKey, type WrapPlace } from './wrap.ts'

/** What is needed of a data key's row to unwrap with it. */
export type DataKeyRow = Pick<TenantKey, 'tenantId' | 'version' | 'wrapped' | 'kekId'>
export type SubjectKeyRow = Pick<SubjectKey, 'tenantId' | 'subjectId' | 'state' | 'wrapped' | 'seals'> & { readonly tenantKey: DataKeyRow | null }
export type LookupKeyRow = LookupKey & { readonly tenantKey: TenantKey | null }

/** What the KMS binds a tenant's data key to. */
export const contextOf = (tenantId: string): KmsContext => ({ tenant: tenantId, purpose: 'tenant-data-key' })

export const lookupPlace = (tenantId: string, generation: number, version: number): WrapPlace => ({
  tenantId,
  subjectId: `lookup-key/${generation}`,
  version,
})

export interface KeyRing {
  useTenantKey<Result>(row: DataKeyRow, fn: (key: Buffer) => Result): Promise<Result>
  useSubjectKey<Result>(row: SubjectKeyRow, fn: (key: Buffer) => Result): Promise<Result>
  /** A subject's key that is unwrapped already, for use before anything is awaited; null where `useSubjectKey` has to unwrap it. */
  keptSubjectKey(row: SubjectKeyRow): Buffer | null
  useLookupKey<Result>(row: LookupKeyRow, fn: (key: Buffer) => Result): Promise<Result>
  /** Wrapped keys that move from one data key to another, in order. None of them is kept. @throws KEYS_UNAVAILABLE */
  moveKeys(from: TenantKey, to: TenantKey, keys: readonly { readonly wrapped: string; readonly subjectId: string }[]): Promise<string[]>
  /** Asks the KMS for a data key, past everything that is kept. @throws KEYS_UNAVAILABLE */
  probe(row: DataKeyRow): Promise<void>
  /** Forgets a tenant's keys. */
  forget(tenantId: string): void
}

const gone = () => keysUnavailable({ reason: 'This key is destroyed, and with it what it opened.' })

export function createKeyRing({ kms, cache }: { kms: Kms; cache: KeyCache }): KeyRing {
  const dataKeyId = (row: DataKeyRow): string => `tenant/${row.tenantId}/data/${row.version}/${row.kekId}/${row.wrapped}`

  /** Rows are read by each caller; only the KMS is asked inside a shared load, so no request waits on another's transaction. */
  const useTenantKey = async <Result>(row: DataKeyRow, fn: (key: Buffer) => Result): Promise<Result> => {
    const { wrapped, kekId, tenantId } = row
    if (wrapped === null) throw gone()
    return cache.use(dataKeyId(row), () => kms.unwrap(wrapped, kekId, contextOf(tenantId)), fn)
  }

  const wrappedKeyId = (tenantId: string, subjectId: string, version: number, wrapped: string): string =>
    `tenant/${tenantId}/key/${subjectId}/${version}/${wrapped}`

  const useWrapped = async <Result>(
    row: { readonly tenantId: string; readonly wrapped: string | null; readonly tenantKey: DataKeyRow | null },
    subjectId: string,
    fn: (key: Buffer) => Result,
  ): Promise<Result> => {
    const { tenantId, wrapped, tenantKey } = row
    if (wrapped === null || tenantKey === null) throw gone()
    const place = { tenantId, subjectId, version: tenantKey.version }
    const load = () =>
      useTenantKey(tenantKey, (dataKey) => unwrapKey(dataKey, place, wrapped)).catch((error: unknown) => {
        // Either row may be the bent one. A data key that opens nothing is not worth keeping.
        cache.evict(dataKeyId(tenantKey))
        throw error
      })
    return cache.use(wrappedKeyId(tenantId, subjectId, tenantKey.version, wrapped), load, fn, dataKeyId(tenantKey))
  }

  return {
    useTenantKey,
    useSubjectKey: (row, fn) => useWrapped(row, row.subjectId, fn),
    keptSubjectKey: ({ tenantId, subjectId, wrapped, tenantKey }) =>
      wrapped === null || tenantKey === null ? null : cache.kept(wrappedKeyId(tenantId, subjectId, tenantKey.version, wrapped)),
    useLookupKey: (row, fn) => useWrapped(row, lookupPlace(row.tenantId, row.generation, 0).subjectId, fn),

    async moveKeys(from, to, keys) {
      const { tenantId } = from
      const plain: Buffer[] = []
      try {
        await useTenantKey(from, (key) => {
          for (const { subjectId, wrapped } of keys) plain.push(unwrapKey(key, { tenantId, subjectId, version: from.version }, wrapped))
        })
        return await useTenantKey(to, (key) =>
          keys.map(({ subjectId }, at) => wrapKey(key, { tenantId, subjectId, version: to.version }, plain[at]!)),
        )
      } finally {
        for (const key of plain) key.fill(0)
      }
    },

    async probe({ wrapped, kekId, tenantId }) {
      if (wrapped === null) throw gone()
      ;(await kms.unwrap(wrapped, kekId, contextOf(tenantId))).fill(0)
    },

    forget: (tenantId) => cache.evict(`tenant/${tenantId}/`),
  }
}
