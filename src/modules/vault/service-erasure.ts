/** Vault's use cases of destroying keys for good: a person's, a whole tenant's. What a legal hold keeps, the database keeps. */
import { forbidden, notFound } from '../../kernel/fault.ts'
import { newId } from '../../kernel/id.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { ServiceOf } from '../../platform/contract.ts'
import { sqlStateOf } from '../../platform/db/errors.ts'
import { subjectErased, underLegalHold, type vaultMethods } from './contract.ts'
import type { KeyRing } from './key-ring.ts'
import type { VaultRepo } from './repo.ts'

type Erasure = Pick<ServiceOf<typeof vaultMethods>, 'eraseSubject' | 'erasure' | 'keepCertificate' | 'shredTenant'>

export function onlyOperator({ actor }: Scope): void {
  if (actor.kind !== 'operator') throw forbidden({ permission: 'operator' })
}

/** What the database answers where a legal hold keeps a key from being destroyed. */
function heldOr(error: unknown): never {
  throw sqlStateOf(error) === 'ML001' ? underLegalHold() : error
}

export function erasureUseCases({ repo, ring }: { readonly repo: VaultRepo; readonly ring: Pick<KeyRing, 'forget'> }): Erasure {
  /** After the keys of people, which refer to them. */
  const destroyTenantKeys = async (scope: Scope): Promise<void> => {
    const destroyedAt = new Date()
    for (const { generation } of await repo.lookupKeys(scope)) {
      await repo.changeLookupKey(scope, generation, { state: 'DESTROYED', wrapped: null, tenantKeyVersion: null, destroyedAt })
    }
    for (const { version, state } of await repo.tenantKeys(scope)) {
      if (state !== 'DESTROYED') await repo.changeTenantKey(scope, version, { state: 'DESTROYED', wrapped: null, destroyedAt })
    }
  }

  return {
    async eraseSubject(scope, { subjectId, backupsUntil }) {
      onlyOperator(scope)
      const erased = await repo.destroySubjectKey(scope, subjectId).catch(heldOr)
      if (!erased) throw (await repo.subjectKeys(scope, [subjectId])).length > 0 ? subjectErased() : notFound()
      ring.forget(scope.tenantId)
      const certificateId = newId()
      const keyIds = [`subject/${subjectId}`, `wrapped by ${erased.tenantKey?.version}/${erased.tenantKey?.kekId}`]
      const erasedBy = scope.actor.kind === 'operator' ? `operator ${scope.actor.name}` : scope.actor.kind
      const until = backupsUntil === null ? null : new Date(backupsUntil)
      await repo.addCertificate(scope, { id: certificateId, subjectId, keyIds, erasedBy, backupsUntil: until })
      scope.unit.record({
        action: 'subject.erased',
        resource: 'SubjectKey',
        resourceId: subjectId,
        subjectId,
        outcome: 'done',
        detail: { certificateId, keyIds },
      })
      return { certificateId, keyIds }
    },

    async erasure(scope, { subjectId }) {
      onlyOperator(scope)
      const found = await repo.erasure(scope, subjectId)
      const madeAt = await repo.keyMadeAt(scope, subjectId)
      if (!found || !madeAt) throw notFound()
      const { id, keyIds, erasedBy, backupsUntil, document } = found
      const [erasedAt, createdAt] = [found.erasedAt.toISOString(), madeAt.toISOString()]
      return { id, keyIds, erasedBy, erasedAt, createdAt, backupsUntil: backupsUntil?.toISOString() ?? null, document }
    },

    async keepCertificate(scope, { id, document }) {
      onlyOperator(scope)
      await repo.keepDocument(scope, id, document)
      scope.unit.record({ action: 'certificate.signed', resource: 'ErasureCertificate', resourceId: id, outcome: 'done' })
      return {}
    },

    async shredTenant(scope, { size }) {
      onlyOperator(scope)
      const destroyed = await repo.destroySubjectKeys(scope, size).catch(heldOr)
      const done = destroyed < size
      if (done) await destroyTenantKeys(scope)
      ring.forget(scope.tenantId)
      const subjects = (await repo.countSubjectKeys(scope)).get(null) ?? 0
      scope.unit.record({ action: 'tenant.shredded', resource: 'TenantKey', outcome: 'done', detail: { subjects, done } })
      const keys = (await repo.tenantKeys(scope)).map(({ version, kekId, ownKek, destroyedAt }) => ({
        id: `tenant-data-key/${version}`,
        keyId: kekId,
        own: ownKek,
        destroyedAt: destroyedAt?.toISOString() ?? null,
      }))
      return { done, subjects, keys }
    },
  }
}
