/**
 * The keys that sign and verify access tokens, as this process holds them, and the secret of the throttle's counters. They live sealed
 * in the database, so that all processes share them; none is ever made twice, and a private part is opened in memory only.
 */
import { randomBytes } from 'node:crypto'
import type { JWK } from 'jose'
import type { Clock } from '../../kernel/clock.ts'
import { planes, signInPlanes, type Plane, type Scope } from '../../kernel/scope.ts'
import type { Unit } from '../../platform/db/unit.ts'
import { keysUnavailable, type Vault } from '../vault/contract.ts'
import { inAuthCommand } from './repo.ts'
import type { KeyRepo, PublicKeyRow, StoredKey } from './repo-keys.ts'
import { jwks, newSigningKey, rotation, type SigningKey } from './tokens/signing-key.ts'

/** What identity needs of the vault. */
export type Secrets = Pick<Vault, 'sealSecrets' | 'openSecrets'>

/** Where a sealed secret lives: sealed for one place, it opens in no other. */
interface SecretPlace {
  readonly model: string
  readonly field: string
  readonly rowId: string
}

/** Where a person's TOTP secret is sealed. */
export function totpSecretPlace(tenantId: string, identityId: string): SecretPlace {
  return { model: 'TotpDevice', field: 'secret', rowId: `${tenantId}/${identityId}` }
}

const privateJwkPlace = (kid: string): SecretPlace => ({ model: 'SigningKey', field: 'privateJwk', rowId: kid })

/** An unknown key id sends the process to the database at most this often, however many are made up. */
const unknownKeyPauseMs = 5_000
/** How long the published list is answered from memory, below the hour in which two keys of a plane may both sign. */
const publishedForMs = 60_000
const signersForMs = 30 * 60_000

/** The row that holds the throttle's secret among the signing keys: sealed like them, never published, never expiring. */
const throttleKid = 'throttle'
const never = new Date('9999-01-01T00:00:00Z')

export interface Keys {
  /** Tells how to reach the database outside every tenant, loads what is there and makes what is due. */
  boot(open: () => Unit): Promise<void>
  /** Loads and makes what is due. Several processes may do so at once. */
  rotate(): Promise<void>
  /** As rotate, unless that was done just now: the daily job comes once for every tenant. */
  keepFresh(): Promise<void>
  /** The key that signs for a plane now. */
  signingKey(plane: Plane): Promise<SigningKey>
  /** The keys by id. An id that is not among them is looked for again, though not often. */
  verifiers(kid: string | null): Promise<(kid: string) => SigningKey | undefined>
  /** The public parts, as published. */
  published(): Promise<{ keys: JWK[] }>
  throttleSecret(): Promise<Uint8Array>
}

export function createKeys({ repo, vault, clock }: { repo: KeyRepo; vault: Secrets; clock: Clock }): Keys {
  let openUnit: (() => Unit) | null = null
  let publicKeys = new Map<string, SigningKey>()
  let publicAtMs = Number.NEGATIVE_INFINITY
  let signers: readonly SigningKey[] = []
  let signersAtMs = Number.NEGATIVE_INFINITY
  let secret: Uint8Array | null = null
  let rotating: Promise<void> | null = null
  let refreshing: Promise<void> | null = null

  const unit = (): Unit => {
    if (!openUnit) throw new Error('Identity was asked for keys before it was booted.')
    return openUnit()
  }

  const publish = (rows: readonly PublicKeyRow[]) => {
    publicKeys = new Map(rows.filter(isSigningKey).map((row) => [row.kid, keyOf(row, null)]))
    publicAtMs = clock.nowMs()
  }

  const refresh = (): Promise<void> =>
    (refreshing ??= (async () => {
      const at = unit()
      publish(await at.read(() => repo.published(at.scope, new Date(clock.nowMs()))))
    })().finally(() => (refreshing = null)))

  const open = async (scope: Scope, rows: readonly StoredKey[]): Promise<string[]> =>
    (await vault.openSecrets(scope, { items: rows.map((row) => ({ ...privateJwkPlace(row.kid), sealed: row.privateJwk })) })).values

  const seal = async (scope: Scope, kid: string, value: string): Promise<string> =>
    (await vault.sealSecrets(scope, { items: [{ ...privateJwkPlace(kid), value }] })).sealed[0]!

  const addKey = async (scope: Scope, key: SigningKey): Promise<StoredKey> => {
    const row: StoredKey = {
      kid: key.kid,
      plane: key.plane,
      publicJwk: key.publicJwk as StoredKey['publicJwk'],
      privateJwk: await seal(scope, key.kid, JSON.stringify(key.privateJwk)),
      notBefore: new Date(key.notBeforeMs),
      retireAt: new Date(key.retireAtMs),
      expiresAt: new Date(key.expiresAtMs),
    }
    await repo.add(scope, row)
    const detail = { plane: key.plane, kid: key.kid }
    scope.unit.record({ action: 'signing_key.created', resource: 'SigningKey', outcome: 'done', detail })
    return row
  }

  const addThrottleSecret = async (scope: Scope, value: Uint8Array, now: Date): Promise<void> => {
    const privateJwk = await seal(scope, throttleKid, Buffer.from(value).toString('base64url'))
    await repo.add(scope, { kid: throttleKid, plane: 'none', publicJwk: {}, privateJwk, notBefore: now, retireAt: never, expiresAt: never })
    scope.unit.record({ action: 'throttle_secret.created', resource: 'SigningKey', outcome: 'done' })
  }

  /** One command under a lock: loads every key, makes those that are due, deletes those that are over. */
  const load = async (scope: Scope) => {
    const nowMs = clock.nowMs()
    const now = new Date(nowMs)
    const rows = await repo.hold(scope, now)
    const values = await open(scope, rows)
    const held = rows.map((row, i) => ({ row, value: values[i]! }))
    const keys = held.filter(({ row }) => isSigningKey(row)).map(({ row, value }) => keyOf(row, JSON.parse(value) as JWK))
    const published: StoredKey[] = [...rows]
    for (const plane of signInPlanes) {
      const { make } = rotation(keys, nowMs, plane)
      if (!make) continue
      const made = await newSigningKey(plane, nowMs, make)
      published.push(await addKey(scope, made))
      keys.push(made)
    }
    const stored = held.find(({ row }) => row.kid === throttleKid)
    const found = stored ? Buffer.from(stored.value, 'base64url') : randomBytes(32)
    if (!stored) await addThrottleSecret(scope, found, now)
    const removed = await repo.removeExpired(scope, now)
    scope.unit.record({ action: 'signing_keys.opened', resource: 'SigningKey', outcome: 'done', detail: { count: keys.length, removed } })
    return { keys, published, found }
  }

  const rotate = (): Promise<void> =>
    (rotating ??= (async () => {
      // Kept only after the commit: a key that was rolled back must sign nothing.
      const { keys, published, found } = await inAuthCommand(unit().scope, load)
      signers = keys
      signersAtMs = clock.nowMs()
      secret = found
      publish(published)
    })().finally(() => (rotating = null)))

  const isOld = (atMs: number, mostMs: number): boolean => Math.abs(clock.nowMs() - atMs) >= mostMs

  return {
    boot(open) {
      openUnit = open
      return rotate()
    },

    rotate,

    async keepFresh() {
      if (isOld(signersAtMs, signersForMs)) await rotate()
    },

    async signingKey(plane) {
      const find = () => rotation(signers, clock.nowMs(), plane).signWith
      const held = find()
      if (held && !isOld(signersAtMs, signersForMs)) return held
      try {
        await rotate()
      } catch (error) {
        // A KMS that is away keeps nobody from signing in: the key that is held signs until it retires, and no process can make another.
        if (held && keysUnavailable.is(error)) return held
        throw error
      }
      const key = find()
      if (!key) throw new Error(`No key signs for ${plane}.`)
      return key
    },

    async verifiers(kid) {
      const isUnknown = kid !== null && !publicKeys.has(kid)
      if (isUnknown && isOld(publicAtMs, unknownKeyPauseMs)) await refresh()
      return (wanted) => publicKeys.get(wanted)
    },

    async published() {
      if (isOld(publicAtMs, publishedForMs)) await refresh()
      const nowMs = clock.nowMs()
      return jwks([...publicKeys.values()].filter((key) => key.expiresAtMs > nowMs))
    },

    async throttleSecret() {
      if (!secret) await rotate()
      return secret!
    },
  }
}

const isSigningKey = ({ plane }: { readonly plane: string }): boolean => planes.some((one) => one === plane)

function keyOf(row: PublicKeyRow, privateJwk: JWK | null): SigningKey {
  return {
    kid: row.kid,
    plane: row.plane as Plane,
    privateJwk,
    publicJwk: row.publicJwk as JWK,
    notBeforeMs: row.notBefore.getTime(),
    retireAtMs: row.retireAt.getTime(),
    expiresAtMs: row.expiresAt.getTime(),
  }
}
