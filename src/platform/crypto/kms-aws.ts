/**
 * Key encryption keys that live in AWS KMS and never leave it. Refuses to wait longer than its time limits, to believe an answer that
 * does not prove itself, and to use another key than the one that was asked for.
 *
 * Wrapped: `a1|<CiphertextBlob>|<proof>`, canonical base64url. The proof is half an HMAC-SHA256 of the key itself: a KMS that answers
 * with another plaintext would else have new data sealed with a key that nobody ever finds again.
 */
import type { KMSClient } from '@aws-sdk/client-kms'
import { timingSafeEqual } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../../kernel/clock.ts'
import { createBreaker } from './breaker.ts'
import { frame } from './framing.ts'
import { hmac } from './hash.ts'
import { keysUnavailable, type KeyTrouble, type Kms, type KmsContext } from './kms.ts'

export interface AwsKmsOptions {
  /** Id, ARN or alias of the building's own key. */
  readonly keyId: string
  readonly region: string
  /** Instead of AWS's own address; null: that. */
  readonly endpoint: string | null
  /** One attempt's time limit, in milliseconds. */
  readonly attemptMs?: number
  /** All attempts of one call together, in milliseconds. */
  readonly callMs?: number
  readonly attempts?: number
  /** After how many failures in a row a key is left alone, and for how many milliseconds. */
  readonly failuresToOpen?: number
  readonly openMs?: number
  /** Default: a monotonic clock. */
  readonly clock?: Clock
}

const keyBytes = 32
const proofBytes = 16
/** KMS's own bound of a CiphertextBlob is 6,144 bytes. */
const grammar = /^a1\|([\w-]{1,8192})\|([\w-]{22})$/

const troubleOf: Readonly<Record<string, KeyTrouble>> = {
  AccessDeniedException: 'REFUSED',
  NotFoundException: 'REFUSED',
  InvalidKeyUsageException: 'REFUSED',
  ValidationException: 'REFUSED',
  InvalidArnException: 'REFUSED',
  UnrecognizedClientException: 'REFUSED',
  InvalidSignatureException: 'REFUSED',
  CredentialsProviderError: 'REFUSED',
  DisabledException: 'DISABLED',
  KMSInvalidStateException: 'DISABLED',
  ThrottlingException: 'THROTTLED',
  LimitExceededException: 'THROTTLED',
  InvalidCiphertextException: 'DIFFERENT',
  IncorrectKeyException: 'DIFFERENT',
}

const sentences: Readonly<Record<KeyTrouble, string>> = {
  REFUSED: 'The KMS does not let this server use the key. Grant it GenerateDataKey, Decrypt, ReEncrypt and DescribeKey in the key policy.',
  DISABLED: 'The key is disabled or about to be deleted. Enable it at the KMS; nothing else opens what it protects.',
  THROTTLED: 'The KMS answers too many requests at the moment. It is asked again in a few seconds.',
  UNREACHABLE: 'The KMS does not answer. It is asked again in a few seconds.',
  DIFFERENT: 'A stored key does not open with the key it names. Restore the database as it was, or the key at the KMS.',
}

const unavailable = (trouble: KeyTrouble) => keysUnavailable({ trouble, reason: sentences[trouble] })
const monotonicClock: Clock = { nowMs: () => performance.now() }
const proofOf = (key: Uint8Array, { tenant, purpose }: KmsContext): Buffer =>
  hmac(key, frame(['maristan/kms-aws/proof/v1', tenant, purpose])).subarray(0, proofBytes)

function packed(blob: Uint8Array, proof: Buffer): string {
  return `a1|${Buffer.from(blob).toString('base64url')}|${proof.toString('base64url')}`
}

function unpacked(wrapped: string): { blob: Buffer; proof: Buffer } {
  const [, blob, proof] = grammar.exec(wrapped) ?? []
  if (blob === undefined || proof === undefined) throw unavailable('DIFFERENT')
  return { blob: Buffer.from(blob, 'base64url'), proof: Buffer.from(proof, 'base64url') }
}

/** Whether a KMS that was asked to use one key used that one: a key that is named in full has no other name. */
const isAsked = (asked: string, answered: string): boolean => !asked.includes(':key/') || asked === answered

function faultFor(error: unknown): Error {
  if (keysUnavailable.is(error)) return error
  const name = error instanceof Error ? error.name : ''
  return unavailable(troubleOf[name] ?? 'UNREACHABLE')
}

const troubleIn = (error: unknown): KeyTrouble | undefined => (keysUnavailable.is(error) ? error.data.trouble : undefined)
const isPassing = (error: unknown): boolean => ['THROTTLED', 'UNREACHABLE'].includes(troubleIn(error) ?? '')
/** A definite no counts too: whoever shows a page of a tenant whose key is disabled must not use up the others' share of requests. */
const isTrouble = (error: unknown): boolean => isPassing(error) || ['REFUSED', 'DISABLED'].includes(troubleIn(error) ?? '')

/** Loads the AWS client and makes a KMS of it; nothing is asked yet. Credentials come from the SDK's own chain (environment, role). */
export async function openAwsKms(options: AwsKmsOptions): Promise<Kms> {
  const { attemptMs = 2_000, callMs = 5_000, attempts = 3, failuresToOpen = 3, openMs = 5_000, clock = monotonicClock } = options
  const aws = await import('@aws-sdk/client-kms')
  const client: KMSClient = new aws.KMSClient({
    region: options.region,
    ...(options.endpoint === null ? {} : { endpoint: options.endpoint }),
    // Attempts are counted here, where one bound of time holds for all of them.
    maxAttempts: 1,
    requestHandler: { connectionTimeout: attemptMs, requestTimeout: attemptMs, throwOnRequestTimeout: true },
  })
  const breaker = createBreaker({ failures: failuresToOpen, openMs, clock })

  /** One call: bounded attempts in a bounded time, every failure a KEYS_UNAVAILABLE. */
  const patiently = async <T>(ask: (abortSignal: AbortSignal) => Promise<T>): Promise<T> => {
    const signal = AbortSignal.timeout(callMs)
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask(AbortSignal.any([signal, AbortSignal.timeout(attemptMs)]))
      } catch (error) {
        const fault = faultFor(error)
        if (attempt >= attempts || signal.aborted || !isPassing(fault)) throw fault
      }
      // Not all at once again: anything between half and all of a growing pause.
      await pause(50 * 2 ** attempt * (0.5 + Math.random() / 2))
    }
  }
  const guarded = <T>(keyId: string, ask: (abortSignal: AbortSignal) => Promise<T>): Promise<T> =>
    breaker.run(keyId, () => patiently(ask), isTrouble, () =>
      keysUnavailable({ trouble: 'UNREACHABLE', reason: 'The KMS did not give this key several times. It is asked again in a few seconds.' }),
    )

  const decrypt = async (blob: Uint8Array, keyId: string, context: KmsContext): Promise<Buffer> =>
    guarded(keyId, async (abortSignal) => {
      const command = new aws.DecryptCommand({ CiphertextBlob: blob, KeyId: keyId, EncryptionContext: context })
      const { Plaintext, KeyId } = await client.send(command, { abortSignal })
      if (!Plaintext) throw unavailable('DIFFERENT')
      const key = Buffer.from(Plaintext)
      Plaintext.fill(0)
      if (key.length === keyBytes && KeyId === keyId) return key
      key.fill(0)
      throw unavailable('DIFFERENT')
    })

  const unwrap = async (wrapped: string, keyId: string, context: KmsContext): Promise<Buffer> => {
    const { blob, proof } = unpacked(wrapped)
    const key = await decrypt(blob, keyId, context)
    if (timingSafeEqual(proofOf(key, context), proof)) return key
    key.fill(0)
    throw unavailable('DIFFERENT')
  }

  return {
    provider: 'aws',
    keyId: options.keyId,
    unwrap,

    async generate(context, keyId = options.keyId) {
      const made = await guarded(keyId, async (abortSignal) => {
        const command = new aws.GenerateDataKeyCommand({ KeyId: keyId, KeySpec: 'AES_256', EncryptionContext: context })
        return client.send(command, { abortSignal })
      })
      const key = Buffer.from(made.Plaintext ?? [])
      made.Plaintext?.fill(0)
      try {
        if (!made.CiphertextBlob || !made.KeyId || !isAsked(keyId, made.KeyId) || key.length !== keyBytes) throw unavailable('DIFFERENT')
        const wrapped = packed(made.CiphertextBlob, proofOf(key, context))
        ;(await unwrap(wrapped, made.KeyId, context)).fill(0)
        return { key, wrapped, keyId: made.KeyId }
      } catch (error) {
        key.fill(0)
        throw error
      }
    },

    async rewrap(wrapped, keyId, context, toKeyId) {
      const { blob, proof } = unpacked(wrapped)
      const moved = await guarded(toKeyId, async (abortSignal) => {
        const command = new aws.ReEncryptCommand({
          CiphertextBlob: blob,
          SourceKeyId: keyId,
          SourceEncryptionContext: context,
          DestinationKeyId: toKeyId,
          DestinationEncryptionContext: context,
        })
        return client.send(command, { abortSignal })
      })
      if (!moved.CiphertextBlob || !moved.KeyId || !isAsked(toKeyId, moved.KeyId)) throw unavailable('DIFFERENT')
      const again = packed(moved.CiphertextBlob, proof)
      ;(await unwrap(again, moved.KeyId, context)).fill(0)
      return { wrapped: again, keyId: moved.KeyId }
    },

    async describe(keyId) {
      const { KeyMetadata: key } = await patiently((abortSignal) => client.send(new aws.DescribeKeyCommand({ KeyId: keyId }), { abortSignal }))
      if (!key?.Arn) throw unavailable('DIFFERENT')
      if (key.KeyState !== 'Enabled') throw unavailable('DISABLED')
      if (key.KeyUsage !== 'ENCRYPT_DECRYPT' || key.KeySpec !== 'SYMMETRIC_DEFAULT') throw unavailable('REFUSED')
      // Whoever mended a key need not wait for the breaker.
      breaker.mend(keyId)
      breaker.mend(key.Arn)
      return { keyId: key.Arn }
    },

    close: () => client.destroy(),
  }
}
