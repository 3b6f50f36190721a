/**
 * Whole logins against a server in a process of its own: `/login`, the signed AuthnRequest, the provider's signed answer, `/acs`, the outcome's
 * GET, a session. What stands here is the server's resident memory, as the kernel counts it; nothing is collected for the occasion.
 */
import { writeFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inflateRawSync } from 'node:zlib'
import { metadataOf } from '../../kit/saml-idp.ts'
import { makeProvider } from '../../kit/saml-provider.ts'
import { freePort, maristan, startServer, temporaryDirectory } from '../../kit/server.ts'
import { signedAnswer } from './signer.ts'

/** Where the memory is read, in logins done. */
const marks = [0, 250, 500, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000, 15_000, 20_000]
const atOnce = 8
/** People who take turns: one person with twenty thousand sessions would be another test. */
const people = 500

export interface Memory {
  readonly logins: number
  readonly residentMb: number
  readonly seconds: number
}

export interface Whole {
  readonly logins: number
  readonly failed: number
  readonly loginsPerSecond: number
  readonly memory: readonly Memory[]
}

const cookieOf = (response: Response): string => response.headers.getSetCookie().map((one) => one.split(';')[0]).join('; ')

/**
 * @param most stops after so many logins, or after `limitMs`, whichever is first.
 * @param say hears of each reading as it is made: the whole takes minutes.
 */
export async function wholeLogins(most: number, limitMs: number, say: (sentence: string) => void): Promise<Whole> {
  const { dataDir, remove } = temporaryDirectory()
  const environment = { DATA_DIR: dataDir, PORT: String(await freePort()) }
  const server = await startServer(environment).ready()
  try {
    const [tenant] = server.demo().tenants
    if (!tenant) throw new Error('A fresh server has a tenant.')
    const provider = makeProvider('https://idp.bench.example/metadata')
    const file = join(dataDir, 'metadata.xml')
    writeFileSync(file, metadataOf(provider.entityId, 'https://idp.bench.example', [provider.certificate]))
    const connect = ['saml', 'connect', '--tenant', tenant.slug, '--metadata', file, '--jit-role', 'clinician', '--json']
    const { code, stdout, stderr } = await maristan(connect, environment)
    if (code !== 0) throw new Error(stdout + stderr)
    const { connectionId, acsUrl, entityId } = JSON.parse(stdout) as Record<'connectionId' | 'acsUrl' | 'entityId', string>
    const login = `${server.url}/saml/${tenant.slug}/login?connection=${connectionId}`

    const one = async (k: number): Promise<boolean> => {
      const sent = await fetch(login, { redirect: 'manual' })
      await sent.arrayBuffer()
      const request = inflateRawSync(Buffer.from(new URL(sent.headers.get('location')!).searchParams.get('SAMLRequest')!, 'base64')).toString()
      const inResponseTo = / ID="([^"]+)"/.exec(request)![1]!
      const SAMLResponse = signedAnswer(provider, { acsUrl, audience: entityId, inResponseTo, nameId: `person-${k % people}@bench.example` })
      const taken = await fetch(acsUrl, { method: 'POST', body: new URLSearchParams({ SAMLResponse }), redirect: 'manual' })
      await taken.arrayBuffer()
      if (taken.status !== 303) return false
      const done = await fetch(new URL(taken.headers.get('location')!, acsUrl), { headers: { cookie: cookieOf(sent) }, redirect: 'manual' })
      await done.arrayBuffer()
      return done.status === 303 && cookieOf(done).includes('d_sid=')
    }

    const startedMs = performance.now()
    const seconds = () => Math.round((performance.now() - startedMs) / 1_000)
    const resident = () => Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))![1]) / 1_024)
    const memory: Memory[] = []
    let [begun, done, failed] = [0, 0, 0]
    const note = () => {
      const read = { logins: done, residentMb: resident(), seconds: seconds() }
      memory.push(read)
      say(`${read.logins} logins: ${read.residentMb} MB after ${read.seconds} s.`)
    }
    note()
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        while (begun < most && performance.now() - startedMs < limitMs) {
          if (!(await one(begun++))) failed++
          if (marks.includes(++done)) note()
        }
      }),
    )
    if (memory.at(-1)!.logins !== done) note()
    return { logins: done, failed, loginsPerSecond: Number(((done * 1_000) / (performance.now() - startedMs)).toFixed(1)), memory }
  } finally {
    await server.end('SIGTERM')
    remove()
  }
}
