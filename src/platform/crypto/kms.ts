/** What holds the key encryption keys: it makes, unwraps and rewraps tenants' keys, and never gives its own away. */
import { fault } from '../../kernel/fault.ts'

/** What a key is bound to: authenticated, not hidden, and the same for every call about it. */
export type KmsContext = Readonly<{ tenant: string; purpose: string }>

export interface WrappedKey {
  readonly wrapped: string
  /** Id of the key encryption key that wraps it. */
  readonly keyId: string
}

export interface Kms {
  readonly provider: 'local' | 'aws'
  /** Id of the building's own key encryption key, for every tenant that brings none. */
  readonly keyId: string
  /**
   * A fresh key of 32 bytes, proven to unwrap again. The Buffer belongs to the caller, who overwrites it after use.
   * @param keyId the key encryption key; the building's own unless told.
   * @throws KEYS_UNAVAILABLE
   */
  generate(context: KmsContext, keyId?: string): Promise<WrappedKey & { readonly key: Buffer }>
  /**
   * The 32 bytes, in a fresh Buffer that belongs to the caller, who overwrites it after use.
   * @throws KEYS_UNAVAILABLE when anything differs from what was wrapped, or the provider does not answer in its own time limit.
   */
  unwrap(wrapped: string, keyId: string, context: KmsContext): Promise<Buffer>
  /** The same key wrapped by another key encryption key, proven to unwrap again. @throws KEYS_UNAVAILABLE */
  rewrap(wrapped: string, keyId: string, context: KmsContext, toKeyId: string): Promise<WrappedKey>
  /**
   * Asks for the key encryption key itself, always afresh, and answers its full id.
   * @throws KEYS_UNAVAILABLE when it is not there, not ours to use, or not in a state to be used.
   */
  describe(keyId: string): Promise<{ readonly keyId: string }>
  /** Lets go of its connections. */
  close(): void
}

/**
 * Why a key cannot be had. REFUSED: the key's owner does not let us. DISABLED: the key is switched off or about to be deleted.
 * THROTTLED, UNREACHABLE: no answer for now. DIFFERENT: what came is not what was wrapped.
 */
export const keyTroubles = ['REFUSED', 'DISABLED', 'THROTTLED', 'UNREACHABLE', 'DIFFERENT'] as const
export type KeyTrouble = (typeof keyTroubles)[number]

/** `reason` is a sentence for the operator: what is wrong and how to mend it. It never holds key material. */
export const keysUnavailable = fault<{ reason: string; trouble?: KeyTrouble }>('unavailable', 'KEYS_UNAVAILABLE', ({ reason }) => reason)
