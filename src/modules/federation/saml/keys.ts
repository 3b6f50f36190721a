/**
 * Our own signing and encryption keys of each tenant. A successor is published long before it signs, and its forerunner opens what is
 * encrypted to it until every identity provider has read our metadata anew. Private parts leave their seal in memory only.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../../kernel/clock.ts'
import { newId } from '../../../kernel/id.ts'
import type { Scope } from '../../../kernel/scope.ts'
import type { Vault } from '../../vault/contract.ts'
import { makeCertificate } from './certificate.ts'
import type { OwnKeys } from './messages.ts'
import { inAuthCommand } from './repo.ts'
import type { KeyRepo, SamlKey } from './repo-keys.ts'

const dayMs = 86_400_000
/** Life of a certificate, how long before its end a successor is published, and how long both are. */
export const keyLife = { certificateMs: 3 * 365 * dayMs, renewMs: 60 * dayMs, overlapMs: 30 * dayMs } as const

type Use = 'SIGNING' | 'ENCRYPTION'
const uses: readonly Use[] = ['SIGNING', 'ENCRYPTION']

export interface TenantKeys extends OwnKeys {
  /** Newest first. */
  readonly decryption: readonly KeyObject[]
}

export interface Keys {
  /** The tenant's keys, made when there are none. Outside a command. */
  current(scope: Scope): Promise<TenantKeys>
  /** Publishes successors now, to be used in `overlapMs`. Outside a command. */
  roll(scope: Scope): Promise<void>
}

const place = (rowId: string) => ({ model: 'SamlKey', field: 'privateKey', rowId })

export function createKeys(parts: { repo: KeyRepo; vault: Pick<Vault, 'sealSecrets' | 'openSecrets'>; clock: Clock }): Keys {
  const { repo, vault, clock } = parts
  // Short, so that every process signs with the same key soon; a successor waits far longer before it is used.
  const known = new LRUCache<string, TenantKeys>({ max: 1_000, ttl: 60_000 })

  /** Inside a command that holds the tenant's keys. */
  const make = async (inside: Scope, use: Use, activeFrom: Date, forerunners: readonly SamlKey[]): Promise<void> => {
    const now = new Date(clock.nowMs())
    const notAfter = new Date(now.getTime() + keyLife.certificateMs)
    const { privateKey, certificatePem } = await makeCertificate(`Maristan SAML ${use.toLowerCase()}`, now, notAfter)
    const id = newId()
    const value = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const { sealed } = await vault.sealSecrets(inside, { items: [{ ...place(id), value }] })
    await repo.add(inside, { id, use, certificate: certificatePem, privateKey: sealed[0]!, activeFrom, notAfter, retireAt: notAfter })
    // A forerunner stays published once more as long as both were: whoever reads our metadata seldom still encrypts to it.
    await repo.retire(inside, forerunners.map((one) => one.id), new Date(activeFrom.getTime() + keyLife.overlapMs))
    inside.unit.record({ action: 'saml.key_published', resource: 'SamlKey', resourceId: id, outcome: 'done', detail: { use } })
  }

  /** When the next key of a use is to begin; null as long as there is one for a while. */
  const nextFrom = (rows: readonly SamlKey[], use: Use): Date | null => {
    const now = clock.nowMs()
    const newest = rows.find((row) => row.use === use)
    if (newest && newest.notAfter.getTime() - now > keyLife.renewMs) return null
    return new Date(newest ? now + keyLife.overlapMs : now)
  }

  /**
   * Makes what `from` asks for, of the keys as they are once nobody else makes any: two who come first at the same moment make one key, and
   * no provider reads metadata that lacks the one we sign with.
   */
  const makeDue = (scope: Scope, action: string, from: (rows: readonly SamlKey[], use: Use) => Date | null): Promise<readonly SamlKey[]> =>
    inAuthCommand(scope, async (inside) => {
      const now = new Date(clock.nowMs())
      const rows = await repo.hold(inside, now)
      inside.unit.record({ action, resource: 'SamlKey', outcome: 'done' })
      for (const use of uses) {
        const activeFrom = from(rows, use)
        if (activeFrom !== null) await make(inside, use, activeFrom, rows.filter((row) => row.use === use))
      }
      return repo.published(inside, now)
    })

  const ensure = async (scope: Scope): Promise<readonly SamlKey[]> => {
    const rows = await repo.published(scope, new Date(clock.nowMs()))
    return uses.every((use) => nextFrom(rows, use) === null) ? rows : makeDue(scope, 'saml.keys_due', nextFrom)
  }

  const opened = async (scope: Scope, rows: readonly SamlKey[]): Promise<TenantKeys> => {
    const now = new Date(clock.nowMs())
    const items = rows.map(({ id, privateKey }) => ({ ...place(id), sealed: privateKey }))
    const { values } = await vault.openSecrets(scope, { items })
    const keys = rows.map((row, k) => ({ ...row, pem: values[k]! }))
    const signing = keys.filter(({ use }) => use === 'SIGNING')
    const encryption = keys.filter(({ use }) => use === 'ENCRYPTION')
    const signer = signing.find(({ activeFrom }) => activeFrom <= now) ?? signing.at(-1)
    if (!signer) throw new Error('A tenant has signing keys by now.')
    // Who encrypts takes the first: the one that is in use, not the one that is coming.
    const inUse = encryption.find(({ activeFrom }) => activeFrom <= now) ?? encryption.at(-1)
    const first = (rest: typeof keys, one: (typeof keys)[number] | undefined) => [...(one ? [one] : []), ...rest.filter((other) => other !== one)]
    return {
      signing: { privateKeyPem: signer.pem, certificatePem: signer.certificate },
      signingCertificates: first(signing, signer).map(({ certificate }) => certificate),
      encryptionCertificates: first(encryption, inUse).map(({ certificate }) => certificate),
      decryption: encryption.map(({ pem }) => createPrivateKey(pem)),
    }
  }

  return {
    async current(scope) {
      const held = known.get(scope.tenantId)
      if (held) return held
      const keys = await opened(scope, await ensure(scope))
      known.set(scope.tenantId, keys)
      return keys
    },

    async roll(scope) {
      const now = clock.nowMs()
      // One successor at a time: rolled twice, the first stays the next.
      const isComing = (row: SamlKey) => row.activeFrom.getTime() > now
      await makeDue(scope, 'saml.keys_rolled', (rows, use) => {
        const mine = rows.filter((row) => row.use === use)
        return mine.some(isComing) ? null : new Date(mine.length === 0 ? now : now + keyLife.overlapMs)
      })
      known.delete(scope.tenantId)
    },
  }
}
