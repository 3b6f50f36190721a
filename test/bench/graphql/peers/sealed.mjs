/**
 * Opens protected records with node:crypto and the tenants' data keys, which a server of its own would have from its KMS: each person's key
 * out of its wrap, kept from then on, and with it her record. And the signing in: argon2id of the same parameters, a token of Ed25519.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { importPKCS8, SignJWT } from 'jose'
import { verifyPassword } from '../../../../src/modules/identity/credentials/password.ts'
import { unwrapKey } from '../../../../src/modules/vault/wrap.ts'
import { openRecord } from '../../../../src/platform/crypto/seal.ts'

const { dataKeys, signingKey, tenants } = JSON.parse(process.env.PEER_SECRETS)
const kept = new Map()

/** The record of a row whose `wrapped` key belongs to it. */
export function opened(tenantId, { id, phi, wrapped, keyVersion }) {
  let key = kept.get(wrapped)
  if (!key) {
    key = unwrapKey(Buffer.from(dataKeys[tenantId], 'base64'), { tenantId, subjectId: id, version: keyVersion }, wrapped)
    if (kept.size > 10_000) kept.clear()
    kept.set(wrapped, key)
  }
  return openRecord(key, { tenantId, model: 'CareRecipient', field: 'phi', rowId: id }, phi)
}

export const tenantOf = (slug) => tenants[slug]

const key = await importPKCS8(signingKey, 'EdDSA')

/** A session's row and its bearer, once the password holds. @throws when it does not. */
export async function sessionFor(tenantId, account, password) {
  const { ok } = await verifyPassword(account?.passwordHash ?? null, password)
  if (!ok) throw new Error('Not signed in.')
  const sessionId = randomUUID()
  const accessToken = await new SignJWT({ tenant: tenantId, role: account.role, sid: sessionId })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt' })
    .setSubject(account.membershipId)
    .setIssuer('maristan-bench')
    .setAudience('maristan:console')
    .setIssuedAt()
    .setExpirationTime('10m')
    .sign(key)
  return { sessionId, accessToken, hash: createHash('sha256').update(randomBytes(32)).digest('hex') }
}
