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

  const make = async (scope: Scope, use: Use, activeFrom: Date, forerunners: readonly SamlKey[]): Promise<void> => {
    const now = new Date(clock.nowMs())
    const notAfter = new Date(now.getTime() + keyLife.certificateMs)
    const { privateKey, certificatePem } = await makeCertificate(`Maristan SAML ${use.toLowerCase()}`, now, notAfter)
    const id = newId()
    const value = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const { sealed } = await vault.sealSecrets(scope, { items: [{ ...place(id), value }] })
    await inAuthCommand(scope, async (inside) => {
      const retireAt = new Date(notAfter.getTime())
      await repo.add(inside, { id, use, certificate: certificatePem, privateKey: sealed[0]!, activeFrom, notAfter, retireAt })
      // A forerunner stays published once more as long as both were: whoever reads our metadata seldom still encrypts to it.
      const old = forerunners.filter((one) => one.use === use).map((one) => one.id)
      await repo.retire(inside, old, new Date(activeFrom.getTime() + keyLife.overlapMs))
      inside.unit.record({ action: 'saml.key_published', resource: 'SamlKey', resourceId: id, outcome: 'done', detail: { use } })
    })
  }

  /** @param read how the rows are read: a member's plane may not. */
  const ensure = async (scope: Scope, read = repo.published): Promise<readonly SamlKey[]> => {
    const now = clock.nowMs()
    const rows = await read(scope, new Date(now))
    let isMade = false
    for (const use of ['SIGNING', 'ENCRYPTION'] as const) {
      const mine = rows.filter((row) => row.use === use)
      const newest = mine[0]
      if (newest && newest.notAfter.getTime() - now > keyLife.renewMs) continue
      await make(scope, use, new Date(newest ? now + keyLife.overlapMs : now), mine)
      isMade = true
    }
    return isMade ? read(scope, new Date(now)) : rows
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
      const rows = await ensure(scope, (asking, at) =>
        inAuthCommand(asking, (inside) => {
          inside.unit.record({ action: 'saml.keys_rolled', resource: 'SamlKey', outcome: 'done' })
          return repo.published(inside, at)
        }),
      )
      for (const use of ['SIGNING', 'ENCRYPTION'] as const) {
        const mine = rows.filter((row) => row.use === use)
        // One successor at a time: rolled twice, the first stays the next.
        if (mine.some(({ activeFrom }) => activeFrom.getTime() > now)) continue
        await make(scope, use, new Date(now + keyLife.overlapMs), mine)
      }
      known.delete(scope.tenantId)
    },
  }
}
