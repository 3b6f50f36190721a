/** Vault's use cases. Health data fails closed: without its key nothing is sealed and nothing is opened. */
import { randomBytes } from 'node:crypto'
import { forbidden } from '../../kernel/fault.ts'
import type { Scope } from '../../kernel/scope.ts'
import { need } from '../../platform/authorise.ts'
import { checked } from '../../platform/contract.ts'
import { keysUnavailable, type Kms } from '../../platform/crypto/kms.ts'
import { openRecord, sealedValueUnreadable, sealRecord } from '../../platform/crypto/seal.ts'
import { isUniqueViolation } from '../../platform/db/errors.ts'
import type { TenantKey } from '../../platform/db/generated/client.ts'
import { refuseUndeclared, type Envelopes } from '../../platform/envelopes.ts'
import { blindTokens } from './blind.ts'
import { generationBuilding, subjectErased, subjectKeyExists, tenantKeyExists, vaultMethods, type Vault } from './contract.ts'
import { contextOf, lookupPlace, type KeyRing, type SubjectKeyRow } from './key-ring.ts'
import type { OwnKeys } from './own-key.ts'
import type { PlatformKeys } from './platform-key.ts'
import type { VaultRepo } from './repo.ts'
import type { Rotation } from './rotation.ts'
import { erasureUseCases, onlyOperator } from './service-erasure.ts'
import { drawSeals, refuseWorn } from './wear.ts'
import { keyBytes, wrapKey } from './wrap.ts'

/** Records are sealed with a subject's own key, which has one version: a rotation wraps it anew and leaves records alone. */
const subjectKeyVersion = 1

export interface VaultParts {
  readonly repo: VaultRepo
  readonly kms: Kms
  readonly ring: KeyRing
  readonly platform: PlatformKeys
  readonly rotation: Rotation
  readonly ownKeys: OwnKeys
  readonly envelopes: Envelopes
}

const isOperatorOrSystem = ({ actor }: Scope): boolean => actor.kind === 'operator' || actor.kind === 'system'

function onlyOperatorOrSystem(scope: Scope): void {
  if (!isOperatorOrSystem(scope)) throw forbidden({ permission: 'operator' })
}

export function createVault({ repo, kms, ring, platform, rotation, ownKeys, envelopes }: VaultParts): Vault {
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

  /** The data key that wraps what is new. */
  const activeKey = async (scope: Scope): Promise<TenantKey> => {
    const row = await repo.activeTenantKey(scope)
    if (!row) throw keysUnavailable({ reason: 'This tenant has no key yet. Run: maristan tenant create, or restore its keys.' })
    return row
  }

  const wrapFresh = async (scope: Scope, row: TenantKey, subjectIds: readonly string[]): Promise<string[]> => {
    refuseWorn(row)
    const counted = drawSeals(subjectIds.length)
    if (counted > 0) await repo.countWraps(scope, row.version, counted)
    return ring.useTenantKey(row, (key) =>
      subjectIds.map((subjectId) => {
        const fresh = randomBytes(keyBytes)
        const wrapped = wrapKey(key, { tenantId: row.tenantId, subjectId, version: row.version }, fresh)
        fresh.fill(0)
        return wrapped
      }),
    )
  }

  return checked(vaultMethods, {
    ...erasureUseCases({ repo, ring }),

    async provisionTenant(scope) {
      onlyOperator(scope)
      // Subject keys refer to their data key, so a tenant without any data key has nothing sealed.
      if ((await repo.tenantKeys(scope)).length > 0) throw tenantKeyExists()
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
      const dataKey = await activeKey(scope)
      const wrapped = await wrapFresh(scope, dataKey, subjectIds)
      const rows = subjectIds.map((subjectId, at) => ({ subjectId, tenantKeyVersion: dataKey.version, wrapped: wrapped[at]! }))
      await repo.addSubjectKeys(scope, rows).catch((error: unknown) => {
        throw isUniqueViolation(error) ? subjectKeyExists() : error
      })
      return {}
    },

    async seal(scope, { items }) {
      for (const item of items) refuseUndeclared(envelopes, item)
      const keyOf = await keysOf(scope, items)
      const sealed: string[] = []
      for (const { subjectId, record, ...place } of items) {
        const row = keyOf(subjectId)
        if (row.state === 'DESTROYED') throw subjectErased()
        refuseWorn(row)
        const counted = drawSeals(1)
        if (counted > 0) await repo.countSeals(scope, subjectId, counted)
        sealed.push(
          await ring.useSubjectKey(row, (key) => sealRecord(key, subjectKeyVersion, { tenantId: scope.tenantId, ...place }, record)),
        )
      }
      return { sealed }
    },

    async open(scope, { items }) {
      const keyOf = await keysOf(scope, items)
      const opened: Awaited<ReturnType<Vault['open']>> = { records: [], refusals: [] }
      for (const { subjectId, sealed, ...place } of items) {
        const row = keyOf(subjectId)
        const isErased = row.state === 'DESTROYED'
        const openWith = (key: Buffer) => readable(() => openRecord(key, { tenantId: scope.tenantId, ...place }, sealed))
        const kept = isErased ? null : ring.keptSubjectKey(row)
        const record = isErased ? null : kept ? openWith(kept) : await ring.useSubjectKey(row, openWith)
        opened.records.push(record)
        opened.refusals.push(record ? null : isErased ? 'KEY_DESTROYED' : 'UNREADABLE')
      }
      return opened
    },

    async blind(scope, { values }) {
      const rows = await repo.lookupKeys(scope)
      const generations: Awaited<ReturnType<Vault['blind']>>['generations'] = []
      for (const row of rows) {
        const tokens = await ring.useLookupKey(row, (key) =>
          values.map(({ field, kind, value }) => blindTokens(key, scope.tenantId, field, kind, value)),
        )
        generations.push({ generation: row.generation, tokens })
      }
      return { answers: rows.find(({ state }) => state === 'ACTIVE')?.generation ?? null, generations }
    },

    async addLookupGeneration(scope) {
      onlyOperator(scope)
      const rows = await repo.lookupKeys(scope)
      if (rows.some(({ state }) => state === 'BUILDING')) throw generationBuilding()
      const dataKey = await activeKey(scope)
      const generation = (await repo.newestGeneration(scope)) + 1
      const [wrapped] = await wrapFresh(scope, dataKey, [lookupPlace(scope.tenantId, generation, dataKey.version).subjectId])
      await repo.addLookupKey(scope, { generation, tenantKeyVersion: dataKey.version, wrapped: wrapped!, state: 'BUILDING' })
      scope.unit.record({ action: 'lookup_key.created', resource: 'LookupKey', outcome: 'done', detail: { generation } })
      return { generation }
    },

    async turnLookupGeneration(scope) {
      onlyOperatorOrSystem(scope)
      const rows = await repo.lookupKeys(scope)
      const next = rows.find(({ state }) => state === 'BUILDING')
      if (!next) return { destroyed: [] }
      const former = rows.filter(({ state }) => state === 'ACTIVE').map(({ generation }) => generation)
      const destroyedAt = new Date()
      for (const generation of former) {
        await repo.changeLookupKey(scope, generation, { state: 'DESTROYED', wrapped: null, tenantKeyVersion: null, destroyedAt })
      }
      await repo.changeLookupKey(scope, next.generation, { state: 'ACTIVE' })
      scope.unit.record({ action: 'lookup_key.turned', resource: 'LookupKey', outcome: 'done', detail: { generation: next.generation } })
      return { destroyed: former }
    },

    async keyStatus(scope) {
      if (!isOperatorOrSystem(scope)) need(scope, 'tenant:read')
      return ownKeys.status(scope)
    },

    useOwnKey: (scope, { keyId }) => ownKeys.adopt(scope, keyId),

    async startRotation(scope) {
      onlyOperatorOrSystem(scope)
      return rotation.start(scope)
    },

    async rotateBatch(scope, { size }) {
      onlyOperatorOrSystem(scope)
      return rotation.batch(scope, size)
    },

    async sealSecrets(_scope, { items }) {
      return { sealed: await platform.seal(items) }
    },

    async openSecrets(_scope, { items }) {
      return { values: await platform.open(items) }
    },
  })
}

/** One value that does not open must not hide the rest of its page. */
function readable<Result>(attempt: () => Result): Result | null {
  try {
    return attempt()
  } catch (error) {
    if (sealedValueUnreadable.is(error)) return null
    throw error
  }
}
