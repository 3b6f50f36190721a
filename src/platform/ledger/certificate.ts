/**
 * Signed certificates of what was destroyed, of a person or of a whole tenant. The signature is over exactly the text in `certificate`,
 * by the key that signs checkpoints; the verifier beside the server reads both, and finds the act itself in the trail.
 */
import type { Signer } from './checkpoint.ts'

/** A backup of the whole database, or an export of the tenant, that holds what was destroyed. */
export interface KnownBackup {
  readonly id: string
  readonly kind: 'backup' | 'export'
  readonly madeAt: string
  /** Null: whoever has it keeps it as long as they like. */
  readonly keepUntil: string | null
  /** The key that opens the file, by its fingerprint. */
  readonly openedBy: string
  readonly sha256: string
}

export interface CertificateBody {
  readonly kind: 'maristan.certificate'
  readonly version: 1
  readonly about: 'recipient' | 'tenant'
  readonly id: string
  readonly tenant: string
  /** Of a recipient's: whose key is destroyed. */
  readonly subject?: string
  readonly slug?: string
  /** RFC 3339. */
  readonly destroyedAt: string
  readonly by: string
  /** Of each destroyed key its name and the key encryption key that wrapped it; none of them is a secret. */
  readonly keys: readonly object[]
  /** What else was done: counts and digests. */
  readonly facts: Readonly<Record<string, unknown>>
  /** The chain's head when this was signed: the act is at or before it. */
  readonly audit: { readonly seq: number; readonly hash: string }
  /**
   * Backups made before hold the wrapped keys, and `openedBy` names the keys that unwrap them. `known` are those that this building wrote and
   * that are still kept; `openUntil` is what the operator said of any made elsewhere, null: nobody said.
   */
  readonly backups: {
    readonly madeBefore: string
    readonly openUntil: string | null
    readonly openedBy: readonly string[]
    readonly known: readonly KnownBackup[]
  }
  /** No process holds a destroyed key in memory after this. */
  readonly memoryUntil: string
  readonly signedAt: string
}

/** One line, as it is stored and handed out. */
export function signCertificate(signer: Signer, body: CertificateBody): string {
  const certificate = JSON.stringify(body)
  const signature = signer.sign(Buffer.from(certificate)).toString('base64url')
  return JSON.stringify({ certificate, key: signer.keyId, signature })
}

export function readCertificate(text: string): CertificateBody {
  return JSON.parse((JSON.parse(text) as { certificate: string }).certificate) as CertificateBody
}
