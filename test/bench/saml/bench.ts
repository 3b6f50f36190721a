/**
 * `npm run bench -- saml`: our guard against @node-saml/node-saml, each verifying the same response again and again. Both answer the
 * same identity before they are timed; then short rounds of each in turn. The memory over 20,000 verifications, and over 20,000 whole logins
 * of a server beside it, stand in `tables`. SAML_LOGINS=<count> makes fewer of the latter, 0 leaves them out.
 */
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { samlGuard } from '../../../src/modules/federation/saml/guard/guard.ts'
import { acsUrl, audience, hospital, person, requestId } from '../../kit/saml-response.ts'
import { interleave, type Side } from '../kit/interleave.ts'
import { installPeers } from '../kit/peers.ts'
import type { Measured } from '../kit/report.ts'
import { layCases, type Case } from './ground.ts'
import { wholeLogins } from './logins.ts'

const rounds = 9
const roundMs = 400
const memoryVerifications = 20_000
const memorySteps = 10
const logins = Number(process.env['SAML_LOGINS'] ?? 20_000)
const loginsMs = 20 * 60_000

/** What we use of the peer. */
interface Peer {
  readonly SAML: new (options: object) => {
    validatePostResponseAsync(body: { SAMLResponse: string }): Promise<{ profile: { nameID: string; groups?: string | string[] } | null }>
  }
}

function verifyOurs({ samlResponse, decryptionKey }: Case): { name: string; groups: number } {
  const verdict = samlGuard.verifyResponse({
    samlResponse,
    now: new Date(),
    acsUrl,
    audience,
    idp: { entityId: hospital.entityId, certificates: [hospital.certificate] },
    inResponseTo: requestId,
    allowUnsolicited: false,
    decryptionKeys: decryptionKey ? [decryptionKey] : [],
  })
  if (!verdict.ok) throw new Error(`${verdict.reason}: ${verdict.detail}`)
  return { name: verdict.assertion.nameId, groups: verdict.assertion.attributes.get('groups')!.length }
}

/** With every check it offers for a response: issuer, audience, times, the request that it answers. */
function peerOf({ SAML }: Peer, one: Case): () => Promise<{ name: string; groups: number }> {
  const saml = new SAML({
    callbackUrl: acsUrl,
    issuer: audience,
    audience,
    idpCert: hospital.certificate,
    idpIssuer: hospital.entityId,
    wantAssertionsSigned: one.assertionSigned,
    wantAuthnResponseSigned: one.responseSigned,
    validateInResponseTo: 'always',
    acceptedClockSkewMs: 60_000,
    maxAssertionAgeMs: 660_000,
    // A request that stays open, so that the same answer may come again.
    cacheProvider: { saveAsync: async () => null, getAsync: async () => new Date().toISOString(), removeAsync: async () => null },
    ...(one.decryptionKey ? { decryptionPvk: one.decryptionKey.export({ type: 'pkcs8', format: 'pem' }) } : {}),
  })
  return async () => {
    const { profile } = await saml.validatePostResponseAsync({ SAMLResponse: one.samlResponse })
    if (profile === null) throw new Error('The peer took the response for a logout.')
    return { name: profile.nameID, groups: [profile.groups ?? []].flat().length }
  }
}

/** Works for about one round's time and counts. */
function sideOf(name: string, verify: () => unknown): Side {
  return {
    name,
    round: async () => {
      const end = performance.now() + roundMs
      let done = 0
      for (; performance.now() < end; done++) await verify()
      return done
    },
  }
}

function memoryOver(one: Case): { verifications: number; heapKb: number; residentKb: number }[] {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const steps = []
  for (let step = 0; step <= memorySteps; step++) {
    collect()
    const { heapUsed, rss } = process.memoryUsage()
    steps.push({
      verifications: (step * memoryVerifications) / memorySteps,
      heapKb: Math.round(heapUsed / 1024),
      residentKb: Math.round(rss / 1024),
    })
    if (step < memorySteps) for (let at = 0; at < memoryVerifications / memorySteps; at++) verifyOurs(one)
  }
  return steps
}

export async function bench(say: (sentence: string) => void): Promise<Measured> {
  const folder = join(import.meta.dirname, 'peers')
  installPeers(folder)
  const peer = (await import(join(folder, 'node_modules/@node-saml/node-saml/lib/index.js'))) as Peer
  const ours: Record<string, unknown> = {}
  const theirs: Record<string, unknown> = {}
  const ratio: Record<string, number> = {}
  for (const one of layCases(new Date())) {
    const verifyTheirs = peerOf(peer, one)
    const [mine, other] = [verifyOurs(one), await verifyTheirs()]
    if (mine.name !== person || JSON.stringify(mine) !== JSON.stringify(other)) throw new Error(`The sides disagree on ${one.name}.`)
    say(`${one.name}: both sides name the same person; timing.`)
    const samples = await interleave([sideOf('ours', () => verifyOurs(one)), sideOf('node-saml', verifyTheirs)], rounds)
    const [a, b] = [samples['ours']!, samples['node-saml']!]
    ours[one.name] = { loginsPerSecond: Math.round(a.median) }
    theirs[one.name] = { loginsPerSecond: Math.round(b.median) }
    ratio[`${one.name}/node-saml`] = Number((a.median / b.median).toFixed(2))
  }
  say(`Memory over ${memoryVerifications} verifications.`)
  const memory = memoryOver(layCases(new Date())[0]!)
  if (logins > 0) say(`${logins} whole logins, at most ${loginsMs / 60_000} minutes.`)
  const wholeLogin = logins > 0 ? await wholeLogins(logins, loginsMs, say) : null
  return {
    ours,
    peers: { 'node-saml': theirs },
    ratio,
    guards: {
      ours:
        'All laws of the guard: one strict parse, closed grammar, signature,' +
        ' status, issuer, destination, recipient, audience, request, times.',
      'node-saml': 'Signature, status, issuer, audience, request, times with 60 s of skew, age.',
    },
    tables: { memory, ...(wholeLogin ? { wholeLogin } : {}) },
  }
}
