/** A receiver of audit streams: HTTPS with a certificate of its own authority, which checks signatures, and fails as it is told to. */
import { createHmac, generateKeyPairSync, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { selfSigned } from './certificate.ts'

export interface Received {
  readonly body: string
  readonly batch: string
  readonly tenant: string
  readonly authorization: string | null
  readonly signed: boolean
}

export interface Siem {
  readonly url: string
  /** The certificate, PEM. */
  readonly authority: string
  /** What it took, in order. */
  readonly taken: Received[]
  /** How often it was asked. */
  asked(): number
  /** Answers with this from now on; `hang` never answers, `lost` takes the batch and breaks the connection before it says so. */
  answer(how: number | 'hang' | 'lost'): void
  secret: string
  close(): Promise<void>
}

function isSigned(secret: string, header: string, body: string): boolean {
  const [, moment, given] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header) ?? []
  if (!moment || !given || Math.abs(Date.now() / 1000 - Number(moment)) > 300) return false
  const made = createHmac('sha256', secret).update(`${moment}.${body}`).digest()
  return timingSafeEqual(made, Buffer.from(given, 'hex'))
}

export async function startSiem(): Promise<Siem> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const day = 86_400_000
  const authority = selfSigned(privateKey, 'localhost', new Date(Date.now() - day), new Date(Date.now() + day))
  const taken: Received[] = []
  let asked = 0
  let how: number | 'hang' | 'lost' = 202
  const siem: Siem = {
    url: '',
    authority,
    taken,
    asked: () => asked,
    answer: (next) => (how = next),
    secret: '',
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  const server = createServer({ key: privateKey.export({ type: 'pkcs8', format: 'pem' }), cert: authority }, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      asked++
      if (how === 'hang') return
      const body = Buffer.concat(chunks).toString('utf8')
      const { headers } = request
      if (how === 'lost' || how < 300) {
        taken.push({
          body,
          batch: String(headers['x-maristan-batch']),
          tenant: String(headers['x-maristan-tenant']),
          authorization: headers.authorization ?? null,
          signed: isSigned(siem.secret, String(headers['x-maristan-signature']), body),
        })
      }
      if (how === 'lost') response.destroy()
      else response.writeHead(how, how === 307 ? { location: 'https://localhost:1/' } : {}).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(siem, { url: `https://localhost:${(server.address() as AddressInfo).port}/ingest?index=audit` })
}
