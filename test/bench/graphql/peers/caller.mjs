/**
 * Who asks a peer: the bearer's Ed25519 signature, issuer, audience and times, as every side checks them. A token whose signature held is
 * remembered while it lives, as ours does, so that no side wins by checking less.
 */
import { importSPKI, jwtVerify } from 'jose'

const key = await importSPKI(process.env.PEER_KEY, 'EdDSA')
const known = new Map()

/** The settings of the policies that a bearer stands for. */
export async function callerOf(authorization) {
  const token = authorization?.startsWith('Bearer ') ? authorization.slice(7) : ''
  const held = known.get(token)
  if (held && held.exp > Date.now() / 1000) return held
  const { payload } = await jwtVerify(token, key, {
    issuer: 'maristan-bench',
    audience: 'maristan:console',
    typ: 'at+jwt',
    algorithms: ['EdDSA'],
  })
  const caller = { tenantId: payload.tenant, membershipId: payload.sub, role: payload.role, exp: payload.exp }
  if (known.size > 10_000) known.clear()
  known.set(token, caller)
  return caller
}

export const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Says where the side listens. */
export function announce(server) {
  server.keepAliveTimeout = 65_000
  server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`))
}
