/**
 * A client that writes down what was acknowledged: a process of its own, so that no kill of the server takes its log along. It makes
 * recipients as fast as it is answered, and appends each acknowledged id to its file before it asks again. SIGTERM ends it.
 *
 * usage: node test/kit/loss-client.ts <demo.json> <log> <parallel>
 */
import { appendFileSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

const [demoPath, logPath, parallel] = process.argv.slice(2)
if (!demoPath || !logPath || !parallel) throw new Error('usage: loss-client.ts <demo.json> <log> <parallel>')

interface Demo {
  url: string
  tenants: { slug: string; members: { email: string; password: string; role: string }[] }[]
}
const demo = JSON.parse(readFileSync(demoPath, 'utf8')) as Demo
const tenant = demo.tenants[0]!
const coordinator = tenant.members.find((member) => member.role === 'care_coordinator')!
let token: string | null = null
let running = true
process.on('SIGTERM', () => {
  running = false
})

async function post(query: string, variables: object): Promise<Record<string, never> | null> {
  const response = await fetch(`${demo.url}/graphql/console`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-maristan-tenant': tenant.slug,
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    body: JSON.stringify({ query, variables }),
  })
  return ((await response.json()) as { data?: Record<string, never> }).data ?? null
}

async function signIn(): Promise<void> {
  token = null
  const data = await post('mutation ($i: SignInInput!) { signIn(input: $i) { ... on SignedIn { accessToken } } }', {
    i: { email: coordinator.email, password: coordinator.password },
  })
  token = (data?.['signIn'] as { accessToken?: string } | undefined)?.accessToken ?? null
}

async function one(): Promise<void> {
  while (running) {
    try {
      if (token === null) {
        await signIn()
        continue
      }
      const data = await post('mutation ($i: CreateRecipientInput!) { createRecipient(input: $i) { ... on CareRecipient { id } } }', {
        i: { givenName: 'Drill' },
      })
      const id = (data?.['createRecipient'] as { id?: string } | undefined)?.id
      if (id) appendFileSync(logPath!, `${id}\n`)
    } catch {
      // The server is down: that is the drill. Asking again at once would only burn the machine.
      await delay(20)
    }
  }
}

await signIn().catch(() => {})
await Promise.all(Array.from({ length: Number(parallel) }, one))
