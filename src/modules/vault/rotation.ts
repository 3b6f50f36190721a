/**
 * Turns a tenant's data key while everybody works: a new key at once, then every key that the old one wraps is wrapped anew in batches,
 * each its own command, then the old one is destroyed. A killed run goes on where it was; two that run it take turns.
 *
 * Done means destroyed: the database refuses to mark a key destroyed while anything refers to it.
 */
import { newId } from '../../kernel/id.ts'
import type { Scope } from '../../kernel/scope.ts'
import { keysUnavailable, type Kms } from '../../platform/crypto/kms.ts'
import type { ReencryptionRun, TenantKey } from '../../platform/db/generated/client.ts'
import { keyRotated } from './contract.ts'
import { contextOf, lookupPlace, type KeyRing } from './key-ring.ts'
import type { VaultRepo } from './repo.ts'
import { wornSeals } from './wear.ts'

/** Longer than any command may take: whoever still wraps with the old key has committed by then. */
const settleMs = 20_000
export const rotateAfterMs = 90 * 86_400_000
const table = 'subject_key'

export interface RotationParts {
  readonly repo: VaultRepo
  readonly kms: Kms
  readonly ring: KeyRing
  /** How long the old key stays after the new one is there, in milliseconds; default 20 seconds. */
  readonly settleMs?: number
}

export interface RotationState {
  readonly state: 'RUNNING' | 'SETTLING' | 'DONE'
  readonly fromVersion: number
  readonly toVersion: number
  readonly done: number
}

export function createRotation({ repo, kms, ring, settleMs: settling = settleMs }: RotationParts) {
  const note = (scope: Scope, action: string, detail: Record<string, string | number>): void =>
    scope.unit.record({ action, resource: 'TenantKey', outcome: 'done', detail })

  const shown = (run: ReencryptionRun, state: RotationState['state'], done = run.done): RotationState => ({
    state,
    fromVersion: run.fromVersion,
    toVersion: run.toVersion,
    done,
  })

  /** Lookup keys are few: all in the batch that finds them. */
  const moveLookupKeys = async (scope: Scope, keys: ReadonlyMap<number, TenantKey>, to: TenantKey): Promise<number> => {
    const stale = (await repo.lookupKeys(scope)).filter((row) => row.tenantKeyVersion !== to.version)
    for (const { generation, wrapped, tenantKeyVersion } of stale) {
      const { subjectId } = lookupPlace(scope.tenantId, generation, to.version)
      const [next] = await ring.moveKeys(keys.get(tenantKeyVersion!)!, to, [{ subjectId, wrapped: wrapped! }])
      await repo.changeLookupKey(scope, generation, { wrapped: next!, tenantKeyVersion: to.version })
    }
    return stale.length
  }

  const finish = async (scope: Scope, run: ReencryptionRun, keys: ReadonlyMap<number, TenantKey>): Promise<RotationState> => {
    if ((await repo.ageMs(scope, run.createdAt)) < settling) {
      note(scope, 'tenant_key.settling', { version: run.toVersion })
      return shown(run, 'SETTLING')
    }
    const destroyed = [...keys.values()].filter(({ version, state }) => version < run.toVersion && state !== 'DESTROYED')
    for (const { version } of destroyed) {
      await repo.changeTenantKey(scope, version, { state: 'DESTROYED', wrapped: null, destroyedAt: new Date() })
      note(scope, 'tenant_key.destroyed', { version })
    }
    await repo.changeRun(scope, run.id, { state: 'DONE', finishedAt: new Date() })
    note(scope, 'tenant_key.rotated', { version: run.toVersion, rewrapped: run.done })
    scope.unit.publish(keyRotated, scope.tenantId, { version: run.toVersion })
    return shown(run, 'DONE')
  }

  return {
    /** Makes the next data key, unless a rotation is under way already: then that one goes on. @throws KEYS_UNAVAILABLE */
    async start(scope: Scope): Promise<RotationState> {
      let running = await repo.lockRun(scope)
      if (!running) {
        await repo.lockTenantKeys(scope)
        // Begun by another process while this one waited.
        const latest = await repo.latestRun(scope)
        if (latest?.state === 'RUNNING') running = latest
      }
      if (running) {
        note(scope, 'tenant_key.rotation_resumed', { version: running.toVersion })
        return shown(running, 'RUNNING')
      }
      const active = await repo.activeTenantKey(scope)
      if (!active) throw keysUnavailable({ reason: 'This tenant has no key to rotate.' })
      const version = active.version + 1
      const { key, wrapped, keyId } = await kms.generate(contextOf(scope.tenantId), active.ownKek ? active.kekId : kms.keyId)
      key.fill(0)
      await repo.changeTenantKey(scope, active.version, { state: 'RETIRED' })
      await repo.addTenantKey(scope, { version, wrapped, kekId: keyId, ownKek: active.ownKek })
      await repo.addRun(scope, { id: newId(), table, fromVersion: active.version, toVersion: version })
      note(scope, 'tenant_key.created', { version })
      return { state: 'RUNNING', fromVersion: active.version, toVersion: version, done: 0 }
    },

    /** One batch. DONE when there is nothing to rotate; SETTLING while the old key waits for the last of those who used it. */
    async batch(scope: Scope, size: number): Promise<RotationState> {
      // Asked of the KMS before anything is locked: a slow answer holds up neither the sealing of the trail nor another process.
      for (const row of await repo.tenantKeys(scope)) if (row.wrapped !== null) await ring.useTenantKey(row, () => undefined)
      const run = await repo.lockRun(scope)
      const keys = new Map((await repo.tenantKeys(scope)).map((row) => [row.version, row]))
      if (!run) {
        const latest = await repo.latestRun(scope)
        note(scope, 'tenant_key.rotation_looked', {})
        return latest ? shown(latest, 'DONE') : { state: 'DONE', fromVersion: 0, toVersion: 0, done: 0 }
      }
      const to = keys.get(run.toVersion)!
      const moved = await moveLookupKeys(scope, keys, to)
      const rows = await repo.staleSubjectKeys(scope, run.toVersion, size)
      if (rows.length === 0) return finish(scope, run, keys)
      const wrapped = rows.map((row) => ({ subjectId: row.subjectId, wrapped: row.wrapped! }))
      const next = await ring.moveKeys(keys.get(rows[0]!.tenantKeyVersion!)!, to, wrapped)
      const moves = wrapped.map(({ subjectId, wrapped: from }, at) => ({ subjectId, from, to: next[at]! }))
      await repo.countWraps(scope, to.version, moves.length + moved)
      const done = run.done + moved + (await repo.moveSubjectKeys(scope, to.version, moves))
      await repo.changeRun(scope, run.id, { cursor: rows.at(-1)!.subjectId, done })
      note(scope, 'subject_keys.rewrapped', { version: run.toVersion, done })
      return shown(run, 'RUNNING', done)
    },

    /** Whether the active key is old enough to turn, or has wrapped enough, or a run waits to go on. */
    async isDue(scope: Scope): Promise<boolean> {
      const [active, latest] = [await repo.activeTenantKey(scope), await repo.latestRun(scope)]
      if (!active) return false
      return latest?.state === 'RUNNING' || active.seals >= wornSeals || (await repo.ageMs(scope, active.createdAt)) >= rotateAfterMs
    },
  }
}

export type Rotation = ReturnType<typeof createRotation>
