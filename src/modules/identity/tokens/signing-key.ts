/**
 * Signing keys of the access tokens: one line of keys a plane, made ahead, published before they sign and kept until their last token
 * has died. A key never serves a plane other than its own: the plane is part of its id.
 */
import { randomBytes } from 'node:crypto'
import { exportJWK, generateKeyPair, importJWK } from 'jose'
import type { CryptoKey, JWK } from 'jose'
import { LRUCache } from 'lru-cache'
import { planes } from '../../../kernel/scope.ts'
import type { Plane } from '../../../kernel/scope.ts'

/** Times in milliseconds since the epoch. */
export interface SigningKey {
  /** `<plane>.<random>`. */
  readonly kid: string
  readonly plane: Plane
  /** Null where the key only verifies. */
  readonly privateJwk: JWK | null
  readonly publicJwk: JWK
  /** Signs from here on. */
  readonly notBeforeMs: number
  /** No longer signs. */
  readonly retireAtMs: number
  /** No longer verifies. */
  readonly expiresAtMs: number
}

/** How a key lives: published `aheadMs`, then signing for `signMs`, then verifying for `graceMs` more. */
export interface KeyLife {
  readonly aheadMs: number
  readonly signMs: number
  readonly graceMs: number
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs

export const keyLife: KeyLife = { aheadMs: dayMs, signMs: 7 * dayMs, graceMs: dayMs }

/** Two keys may sign for this long, so that a late or skewed process never finds none. */
const overlapMs = hourMs

const kidShape = new RegExp(`^(${planes.join('|')})\\.[A-Za-z0-9_-]{22}$`)

/** The plane a key id belongs to, null when it is no key id of ours. */
export function planeOfKid(kid: string): Plane | null {
  return (kidShape.exec(kid)?.[1] as Plane | undefined) ?? null
}

/** Makes an Ed25519 key. Store `privateJwk` sealed. */
export async function newSigningKey(plane: Plane, nowMs: number, life: KeyLife = keyLife): Promise<SigningKey> {
  const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
  const notBeforeMs = nowMs + life.aheadMs
  const retireAtMs = notBeforeMs + life.signMs
  return {
    kid: `${plane}.${randomBytes(16).toString('base64url')}`,
    plane,
    privateJwk: await exportJWK(pair.privateKey),
    publicJwk: await exportJWK(pair.publicKey),
    notBeforeMs,
    retireAtMs,
    expiresAtMs: retireAtMs + life.graceMs,
  }
}

/** What a plane's keys need now. */
export interface Rotation {
  /** The key to sign with, null when there is none yet. */
  readonly signWith: SigningKey | null
  /** The life of the key to make now, null when the line is long enough. Make it under a lock, or two processes make one each. */
  readonly make: KeyLife | null
}

/** Decides which key of `plane` signs at `nowMs`, and whether its successor is due: a day before the last one retires, at the latest. */
export function rotation(keys: readonly SigningKey[], nowMs: number, plane: Plane): Rotation {
  const signers = keys.filter((key) => key.plane === plane && key.privateJwk !== null && nowMs < key.retireAtMs)
  const ready = signers.filter((key) => key.notBeforeMs <= nowMs).sort((one, other) => other.notBeforeMs - one.notBeforeMs)
  const signWith = ready[0] ?? null
  if (!signWith) return { signWith, make: { ...keyLife, aheadMs: 0 } }
  const lastRetiresInMs = Math.max(...signers.map((key) => key.retireAtMs)) - nowMs
  if (lastRetiresInMs > keyLife.aheadMs + overlapMs) return { signWith, make: null }
  return { signWith, make: { ...keyLife, aheadMs: Math.max(0, Math.min(keyLife.aheadMs, lastRetiresInMs - overlapMs)) } }
}

/** The public parts, as published (RFC 7517 §5). Whatever else a key holds stays here. */
export function jwks(keys: readonly SigningKey[]): { keys: JWK[] } {
  return {
    keys: keys.map(({ kid, publicJwk: { kty, crv, x } }) => ({ kty, crv, x, kid, use: 'sig', alg: 'EdDSA' }) as JWK),
  }
}

const imported = new LRUCache<string, CryptoKey>({ max: 64 })

/** The key to verify with, imported once. */
export function verifier(key: SigningKey): Promise<CryptoKey> {
  const { kty, crv, x } = key.publicJwk
  return importOnce(`public ${key.kid} ${x}`, { kty, crv, x } as JWK)
}

/**
 * The key to sign with, imported once and not extractable again.
 * @throws when the private half is not here.
 */
export function signer(key: SigningKey): Promise<CryptoKey> {
  if (!key.privateJwk) throw new Error(`The private half of ${key.kid} is not here.`)
  return importOnce(`private ${key.kid} ${key.privateJwk.x}`, key.privateJwk)
}

// The public point is part of the entry: a key that was replaced under its old id is imported anew.
async function importOnce(entry: string, jwk: JWK): Promise<CryptoKey> {
  const held = imported.get(entry)
  if (held) return held
  if (jwk.kty !== 'OKP' || jwk.crv !== 'Ed25519') throw new Error('A signing key is not an Ed25519 key.')
  const key = (await importJWK({ ...jwk, kty: 'OKP' }, 'EdDSA')) as CryptoKey
  imported.set(entry, key)
  return key
}
