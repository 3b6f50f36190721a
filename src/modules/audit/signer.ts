/**
 * The key that signs checkpoints, as this process holds it. It lives sealed under the platform's key, so that all processes sign with
 * the same one; its private part is opened in memory only.
 */
import { createHash, createPrivateKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import type { Scope } from '../../kernel/scope.ts'
import type { Unit } from '../../platform/db/unit.ts'
import type { Signer } from '../../platform/ledger/checkpoint.ts'
import type { Vault } from '../vault/contract.ts'
import type { KeyRepo } from './repo-keys.ts'

const placeOf = (keyId: string) => ({ model: 'CheckpointKey', field: 'privateKey', rowId: keyId })

/** Says which key it is, and follows from it: a key file under another's name is noticed. */
const idOf = (publicKey: string): string => createHash('sha256').update(Buffer.from(publicKey, 'base64url')).digest('hex').slice(0, 32)

export interface CheckpointSigner {
  /** Loads the key, or makes it where there is none yet. */
  boot(open: () => Unit): Promise<void>
  /** @throws before `boot`. */
  current(): Signer
}

export function createCheckpointSigner({ repo, vault }: { repo: KeyRepo; vault: Pick<Vault, 'sealSecrets' | 'openSecrets'> }): CheckpointSigner {
  let held: Signer | null = null

  const load = async (scope: Scope): Promise<Signer> => {
    const row = await repo.hold(scope)
    if (row === null) return make(scope)
    const { values } = await vault.openSecrets(scope, { items: [{ ...placeOf(row.keyId), sealed: row.privateKey }] })
    scope.unit.record({ action: 'checkpoint_key.opened', resource: 'CheckpointKey', outcome: 'done', detail: { keyId: row.keyId } })
    return signerOf(row, createPrivateKey({ key: Buffer.from(values[0]!, 'base64url'), format: 'der', type: 'pkcs8' }))
  }

  const make = async (scope: Scope): Promise<Signer> => {
    const { publicKey: point, privateKey: secret } = generateKeyPairSync('ed25519')
    const publicKey = point.export({ format: 'jwk' }).x!
    const keyId = idOf(publicKey)
    const value = secret.export({ format: 'der', type: 'pkcs8' }).toString('base64url')
    const { sealed } = await vault.sealSecrets(scope, { items: [{ ...placeOf(keyId), value }] })
    await repo.add(scope, { keyId, publicKey, privateKey: sealed[0]! })
    scope.unit.record({ action: 'checkpoint_key.created', resource: 'CheckpointKey', outcome: 'done', detail: { keyId } })
    return signerOf({ keyId, publicKey }, secret)
  }

  return {
    async boot(open) {
      // Kept only after the commit: a key that was rolled back must sign nothing.
      held = await open().command(load)
    },
    current() {
      if (!held) throw new Error('Audit was asked to sign before it was booted.')
      return held
    },
  }
}

function signerOf({ keyId, publicKey }: { readonly keyId: string; readonly publicKey: string }, secret: KeyObject): Signer {
  return { keyId, publicKey, sign: (bytes) => sign(null, bytes, secret) }
}
