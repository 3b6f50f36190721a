/**
 * A tenant's own key encryption key: proven before it is accepted, watched every minute, and never replaced by another when its KMS
 * stops giving it. What is dark then is this tenant's health data alone; its people still sign in, and mend it.
 */
import { need } from '../../platform/authorise.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { Clock } from '../../kernel/clock.ts'
import { keysUnavailable, type Kms, type KeyTrouble, type WrappedKey } from '../../platform/crypto/kms.ts'
import { maxTtlMs } from '../../platform/crypto/key-cache.ts'
import type { TenantKey } from '../../platform/db/generated/client.ts'
import type { Unit } from '../../platform/db/unit.ts'
import type { KeyStatus } from './contract.ts'
import { contextOf, type KeyRing } from './key-ring.ts'
import type { VaultRepo } from './repo.ts'

export interface OwnKeyParts {
  readonly repo: VaultRepo
  readonly kms: Kms
  readonly ring: KeyRing
  readonly clock: Clock
}

const iso = (date: Date | null): string | null => date?.toISOString() ?? null

export function createOwnKeys({ repo, kms, ring, clock }: OwnKeyParts) {
  /** When this process last saw each tenant's own key open. */
  const lastOpen = new Map<string, number>()

  /** Inside a command: what the watch saw, if it is news. */
  const remember = async (scope: Scope, row: TenantKey, trouble: KeyTrouble | null): Promise<void> => {
    const opened = lastOpen.get(row.tenantId)
    await repo.changeTenantKey(scope, row.version, {
      darkSince: trouble === null ? null : (row.darkSince ?? new Date(clock.nowMs())),
      openedAt: opened === undefined ? row.openedAt : new Date(opened),
      trouble,
    })
    scope.unit.record({
      action: trouble === null ? 'tenant_key.opened' : 'tenant_key.dark',
      resource: 'TenantKey',
      outcome: trouble === null ? 'done' : 'failed',
      detail: { version: row.version, ...(trouble === null ? {} : { trouble }) },
    })
  }

  return {
    /**
     * Wraps every data key of the tenant with its own key from now on; naming the building's key puts it back on that one.
     * @throws KEYS_UNAVAILABLE unless the key is enabled, lets itself be used and opens again what it wrapped: nothing is changed then.
     */
    async adopt(scope: Scope, keyId: string): Promise<KeyStatus> {
      need(scope, 'tenant:update')
      const { keyId: full } = await kms.describe(keyId)
      const ownKek = full !== (await kms.describe(kms.keyId)).keyId
      const context = contextOf(scope.tenantId)
      const trial = await kms.generate(context, full)
      trial.key.fill(0)
      // A data key that a rotation makes meanwhile would stay wrapped with the former key.
      await repo.lockTenantKeys(scope)
      const rows = (await repo.tenantKeys(scope)).filter((row) => row.wrapped !== null)
      if (rows.length === 0) throw keysUnavailable({ reason: 'This tenant has no key yet.' })
      const moves: { readonly version: number; readonly moved: WrappedKey }[] = []
      for (const { version, wrapped, kekId } of rows) moves.push({ version, moved: await kms.rewrap(wrapped!, kekId, context, full) })
      // The KMS has answered: from the first change on, writers wait for the end of this command.
      for (const { version, moved } of moves) {
        const well = { darkSince: null, trouble: null, openedAt: new Date(clock.nowMs()) }
        await repo.changeTenantKey(scope, version, { wrapped: moved.wrapped, kekId: moved.keyId, ownKek, ...well })
      }
      ring.forget(scope.tenantId)
      scope.unit.record({ action: 'tenant_key.kek_changed', resource: 'TenantKey', outcome: 'done', detail: { keyId: full, keys: rows.length } })
      return this.status(scope)
    },

    /** Asks the KMS for a tenant's own key, and writes down when the answer changes. `open` gives units of work in that tenant. */
    async watch(open: () => Unit): Promise<void> {
      const reading = open()
      const row = await reading.read(() => repo.activeTenantKey(reading.scope))
      if (!row?.ownKek) return
      const trouble = await ring.probe(row).then(
        () => null,
        (error: unknown) => {
          if (!keysUnavailable.is(error)) throw error
          return error.data.trouble ?? 'UNREACHABLE'
        },
      )
      if (trouble === null) lastOpen.set(row.tenantId, clock.nowMs())
      // A KMS that is only busy gives the key again soon: what is in memory may live out its minutes.
      const isDefinite = trouble === 'REFUSED' || trouble === 'DISABLED'
      if (isDefinite) ring.forget(row.tenantId)
      // News: it is dark, or no more; or why is known for certain only now.
      if ((trouble === null) !== (row.darkSince === null) || (isDefinite && trouble !== row.trouble)) await open().command((scope) => remember(scope, row, trouble))
    },

    async status(scope: Scope): Promise<KeyStatus> {
      const [rows, counts, run, lookups] = [
        await repo.tenantKeys(scope),
        await repo.countSubjectKeys(scope),
        await repo.latestRun(scope),
        await repo.lookupKeys(scope),
      ]
      const active = rows.find(({ state }) => state === 'ACTIVE')
      const since = active?.darkSince ?? null
      return {
        keys: rows.map((row) => ({
          version: row.version,
          state: row.state,
          keyId: row.kekId,
          own: row.ownKek,
          createdAt: row.createdAt.toISOString(),
          destroyedAt: iso(row.destroyedAt),
          subjects: counts.get(row.version) ?? 0,
        })),
        erased: counts.get(null) ?? 0,
        timeToDark: {
          boundMs: maxTtlMs,
          trouble: (active?.trouble as KeyTrouble | null | undefined) ?? null,
          lastOpenAt: iso(active?.openedAt ?? null),
          darkSince: iso(since),
          darkEverywhereBy: since === null ? null : new Date(since.getTime() + maxTtlMs).toISOString(),
          measuredMs: since === null || !active?.openedAt ? null : since.getTime() - active.openedAt.getTime(),
        },
        rotation: run && {
          run: run.id,
          state: run.state,
          fromVersion: run.fromVersion,
          toVersion: run.toVersion,
          done: run.done,
          startedAt: run.createdAt.toISOString(),
          finishedAt: iso(run.finishedAt),
        },
        lookupGenerations: lookups.map(({ generation, state }) => ({ generation, state: state === 'ACTIVE' ? 'ACTIVE' : 'BUILDING' })),
      }
    },
  }
}

export type OwnKeys = ReturnType<typeof createOwnKeys>
