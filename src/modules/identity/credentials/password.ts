/**
 * Passwords: hashing with argon2id, verifying (bcrypt of imported users too) at a cost that does not tell whether the account exists.
 * It refuses to run more hashes at once than the server can bear.
 *
 * A password is normalised to NFKC before it is hashed with argon2 (NIST SP 800-63B 5.1.1.2), so that the same letters typed on two
 * keyboards are one password. bcrypt gets it as typed: that is what the earlier system hashed.
 *
 * Limit: a bcrypt account costs bcrypt's time and then, when the password is wrong, argon2's too; it takes longer than an unknown
 * account and can be told apart by time until its owner's first sign-in upgrades it. No failed answer costs less than an unknown account.
 */
import { Worker } from 'node:worker_threads'
import { hash, verify } from '@node-rs/argon2'
import { createLane } from './lane.ts'

/** OWASP's figure for argon2id: 19 MiB, two passes, one thread (memory in KiB). Raising it upgrades every account at its next sign-in. */
export const argon2Parameters = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

/** Longest password looked at, in UTF-16 units: bounds the work of normalising before anything else is known about the caller. */
const longestInput = 1_024

/** Longest bcrypt sees; the rest of the password never entered the hash. */
const bcryptBytes = 72

// Two of libuv's four threads: file and name look-ups keep the others.
const lane = createLane({ width: 2, queue: 200 })

/** What the stored text says of itself; anything else is `unusable`, among it argon2 or bcrypt too costly to be let in. */
type Stored = { readonly kind: 'argon2'; readonly current: boolean } | { readonly kind: 'bcrypt' } | { readonly kind: 'unusable' }

/**
 * Hashes a new password. Check it with `checkNewPassword` first.
 * @returns the PHC string to store.
 * @throws OVERLOADED when too many hashes wait already; TypeError for what `checkNewPassword` would call unreadable, or for nothing.
 */
export async function hashPassword(plain: string): Promise<string> {
  if (!hashable(plain)) throw new TypeError('This text cannot be hashed as a password.')
  return lane.run(() => hash(plain.normalize('NFKC'), argon2Parameters))
}

/**
 * Compares a password with what is stored.
 * @param stored the stored hash; null for an unknown account or one that signs in elsewhere: the work is done all the same.
 * @returns `ok`, and `upgrade` when the caller should store `hashPassword(plain)` now (bcrypt, or argon2 weaker than ours).
 * @throws OVERLOADED when too many hashes wait already; never because of what is stored or typed.
 */
export function verifyPassword(stored: string | null, plain: string): Promise<{ ok: boolean; upgrade: boolean }> {
  return lane.run(async () => {
    const known = readStored(stored ?? '')
    const typed = hashable(plain) ? plain : ''
    const matches = await compare(known, stored ?? '', typed)
    const ok = matches && typed !== ''
    const paid = known.kind === 'argon2' && known.current
    if (!ok && !paid) await verify(dummyHash, typed.normalize('NFKC'))
    return { ok, upgrade: ok && upgradable(known, typed) }
  })
}

/** Whether `verifyPassword` can ever answer yes to this stored text: bcrypt or argon2, not dearer than the server bears. */
export function isUsableHash(stored: string): boolean {
  return readStored(stored).kind !== 'unusable'
}

async function compare(known: Stored, stored: string, typed: string): Promise<boolean> {
  if (known.kind === 'argon2') return verify(stored, typed.normalize('NFKC'))
  if (known.kind === 'bcrypt') return compareBcrypt(stored, typed)
  return false
}

function upgradable(known: Stored, typed: string): boolean {
  if (known.kind === 'argon2') return !known.current
  // What follows the 72nd byte was never proven: hashing it would lock out an owner who mistyped it this once.
  return Buffer.byteLength(typed) <= bcryptBytes
}

// Well-formed, because lone surrogates all encode to one character and would be one password; no NUL, because bcrypt in C ends there.
function hashable(plain: string): boolean {
  return plain.length > 0 && plain.length <= longestInput && plain.isWellFormed() && !plain.includes('\0')
}

// PHC string format, with the parameters that imported users bring and no dearer ones: m <= 128 MiB, t <= 10, p <= 4.
const argon2Shape = /^\$argon2(id|i|d)\$v=19\$m=([1-9]\d{0,5}),t=([1-9]\d?),p=([1-4])\$([A-Za-z0-9+/]{11,64})\$([A-Za-z0-9+/]{22,86})$/
// Modular crypt format, cost 4 to 14. The four faulty bits of $2x$ are not read.
const bcryptShape = /^\$2[aby]\$(?:0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}$/

function readStored(stored: string): Stored {
  if (bcryptShape.test(stored)) return { kind: 'bcrypt' }
  const found = argon2Shape.exec(stored)
  if (!found) return { kind: 'unusable' }
  const [, variant, memory, passes, threads, salt, digest] = found as unknown as [string, string, string, string, string, string, string]
  const [memoryCost, timeCost, parallelism] = [Number(memory), Number(passes), Number(threads)]
  const encodable = isBase64(salt) && isBase64(digest)
  if (!encodable || memoryCost > 131_072 || memoryCost < 8 * parallelism || timeCost > 10) return { kind: 'unusable' }
  const strong = memoryCost >= argon2Parameters.memoryCost && timeCost >= argon2Parameters.timeCost
  return { kind: 'argon2', current: variant === 'id' && strong && salt.length >= 22 && digest.length >= 43 }
}

// Unpadded and canonical: what the argon2 decoder takes without complaint.
function isBase64(text: string): boolean {
  return Buffer.from(text, 'base64').toString('base64').replace(/=+$/, '') === text
}

/** A hash of ours that no known password has; its parameters follow ours, so the work does too. */
const dummyHash = [
  '$argon2id$v=19',
  `m=${argon2Parameters.memoryCost},t=${argon2Parameters.timeCost},p=${argon2Parameters.parallelism}`,
  'A'.repeat(22),
  'A'.repeat(43),
].join('$')

function compareBcrypt(stored: string, plain: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./bcrypt-worker.ts', import.meta.url), { workerData: { stored, plain } })
    worker.once('message', (matches) => resolve(matches === true))
    worker.once('error', reject)
    worker.once('exit', () => reject(new Error('The bcrypt thread ended without an answer.')))
  })
}
