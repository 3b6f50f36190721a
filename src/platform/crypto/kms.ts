/** What holds the key encryption keys: it wraps and unwraps tenants' keys, and never gives its own away. */
import { fault } from '../../kernel/fault.ts'

export interface Kms {
  readonly provider: 'local' | 'aws'
  /** Id of the key encryption key that new wraps use. */
  readonly keyId: string
  /**
   * Wraps 32 bytes. `context` is authenticated, not hidden: unwrap needs the same.
   * @throws KEYS_UNAVAILABLE
   */
  wrap(key: Uint8Array, context: Readonly<Record<string, string>>): Promise<{ wrapped: string; keyId: string }>
  /**
   * The 32 bytes, in a fresh Buffer that belongs to the caller, who overwrites it after use.
   * @throws KEYS_UNAVAILABLE when anything differs from what was wrapped, or the provider does not answer in its own time limit.
   */
  unwrap(wrapped: string, keyId: string, context: Readonly<Record<string, string>>): Promise<Buffer>
}

/** `reason` is a sentence for the operator: what is wrong and how to mend it. It never holds key material. */
export const keysUnavailable = fault<{ reason: string }>('unavailable', 'KEYS_UNAVAILABLE', ({ reason }) => reason)
