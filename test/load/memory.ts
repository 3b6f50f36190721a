/**
 * Whether memory stays flat: a real server with everything on, 100,000 requests (lists with PHI, single records, a mutation, refusals), and
 * its resident memory read from /metrics on the way. Prints one JSON document. Exit 1 where an answer is not the expected one, or where the last
 * quarter of the run held a tenth more than the second. Run by hand: npm run drill:memory
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const total = Number(process.env['REQUESTS'] ?? 100_000)
const parallel = 16
const samples = 20
const port = Number(process.env['PORT'] ?? 4790)
const dataDir = mkdtempSync(join(tmpdir(), 'maristan-memory-'))
chmodSync(dataDir, 0o711)
const url = `http://127.0.0.1:${port}`

const server = spawn(process.execPath, [join(import.meta.dirname, '../../scripts/serve.mjs')], {
  env: { ...process.env, PORT: String(port), DATA_DIR: dataDir, LOG_LEVEL: 'warn', DATABASE_URL: '', MARISTAN_DEMO: '1' },
  stdio: ['ignore', 'ignore', 'inherit'],
})
const exited = once(server, 'exit')

async function ready(): Promise<boolean> {
  return fetch(`${url}/readyz`).then(
    (response) => response.ok,
    () => false,
  )
}

async function residentMb(): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Math.round(Number(/^process_resident_memory_bytes (\S+)/m.exec(text)?.[1]) / 1024 ** 2)
}

interface Demo {
  tenants: { slug: string; members: { email: string; password: string; role: string }[] }[]
}

async function post(body: object, token?: string): Promise<{ data?: never; errors?: unknown[] }> {
  const response = await fetch(`${url}/graphql/console`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-maristan-tenant': 'cedar', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify(body),
  })
  return (await response.json()) as { data?: never }
}

try {
  while (!(await ready())) await delay(100)
  while (!existsSync(join(dataDir, 'demo.json'))) await delay(100)
  const demo = JSON.parse(readFileSync(join(dataDir, 'demo.json'), 'utf8')) as Demo
  const { email, password } = demo.tenants[0]!.members.find(({ role }) => role === 'care_coordinator')!
  const signIn = async (): Promise<string> => {
    const { data } = await post({
      query: 'mutation ($i: SignInInput!) { signIn(input: $i) { ... on SignedIn { accessToken } } }',
      variables: { i: { email, password } },
    })
    return (data as unknown as { signIn: { accessToken: string } }).signIn.accessToken
  }
  let token = await signIn()
  const list = '{ recipients(first: 10) { edges { node { id givenName familyName birthYear } } pageInfo { endCursor } } }'
  const first = (await post({ query: list }, token)).data as unknown as { recipients: { edges: { node: { id: string } }[] } }
  const id = first.recipients.edges[0]!.node.id
  const grant = 'mutation ($i: CreatePartyInput!) { createParty(input: $i) { __typename } }'
  const kinds: readonly { readonly body: object; isRight(answer: string): boolean }[] = [
    { body: { query: list }, isRight: (answer) => answer.includes('"givenName":"') },
    {
      body: { query: 'query ($id: ID!) { recipient(id: $id) { id givenName mrn phone } }', variables: { id } },
      isRight: (answer) => answer.includes('"mrn":"'),
    },
    { body: { query: '{ viewer { email permissions membership { role } } }' }, isRight: (answer) => answer.includes('"role":"care_coordinator"') },
    { body: { query: grant, variables: { i: { kind: 'FAMILY', name: 'Somebody' } } }, isRight: (answer) => answer.includes('"CareParty"') },
    { body: { query: '{ featureThatIsNotThere }' }, isRight: (answer) => answer.includes('GRAPHQL_VALIDATION_FAILED') },
  ]
  const wrong: string[] = []
  const idleMb = await residentMb()
  const readings: { requests: number; residentMb: number }[] = []
  let sent = 0
  const startedMs = performance.now()
  for (let sample = 1; sample <= samples; sample++) {
    const goal = Math.round((total * sample) / samples)
    token = await signIn()
    const worker = async () => {
      while (sent < goal) {
        const { body, isRight } = kinds[sent++ % kinds.length]!
        const answer = JSON.stringify(await post(body, token))
        if (!isRight(answer)) wrong.push(answer.slice(0, 300))
      }
    }
    await Promise.all(Array.from({ length: parallel }, worker))
    readings.push({ requests: sent, residentMb: await residentMb() })
    console.error(`${sent} requests, ${readings.at(-1)!.residentMb} MB`)
  }
  const seconds = (performance.now() - startedMs) / 1000
  const quarter = (nth: number) => readings.slice((nth * samples) / 4, ((nth + 1) * samples) / 4)
  const meanMb = (of: typeof readings) => Math.round(of.reduce((sum, one) => sum + one.residentMb, 0) / of.length)
  const [second, last] = [meanMb(quarter(1)), meanMb(quarter(3))]
  const result = { name: 'memory', requests: sent, perSecond: Math.round(sent / seconds), idleMb, secondQuarterMb: second, lastQuarterMb: last, wrong: wrong.length, readings }
  console.log(JSON.stringify(result, null, 2))
  for (const one of wrong.slice(0, 5)) console.error(`An unexpected answer: ${one}`)
  if (wrong.length > 0 || last > second * 1.1) process.exitCode = 1
} finally {
  server.kill('SIGTERM')
  await exited
  rmSync(dataDir, { recursive: true, force: true })
}
