/** For the hostile tests: requests that no client library would send, and a count of the statements that reach Postgres. */
import { Agent, request } from 'node:http'
import pg from 'pg'
import { vi } from 'vitest'
import type { Plane } from '../../src/kernel/scope.ts'
import type { Role } from '../../src/modules/access/contract.ts'
import { password, type TestHouse, type TestTenant } from '../kit/house.ts'

export interface Asking {
  readonly method?: string
  readonly path: string
  /** Sent as they are: Host, Origin and Cookie too. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

const agent = new Agent({ keepAlive: true })

/** One HTTP request with exactly these headers. */
export function send(house: TestHouse, { method = 'POST', path, headers = {}, body }: Asking): Promise<Answered> {
  const { hostname, port } = new URL(house.url)
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path, method, agent, headers }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString() })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

interface Refusal {
  readonly data?: unknown
  readonly error?: { readonly code?: string }
  readonly errors?: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[]
}

/** The code of a refusal in either of its two shapes; null where there is none. */
export function codeIn({ text }: Pick<Answered, 'text'>): string | null {
  const answer = (text.startsWith('{') ? JSON.parse(text) : {}) as Refusal
  return answer.error?.code ?? answer.errors?.[0]?.extensions?.code ?? null
}

/** JSON, from a client of the present media type: to the older one a well-formed request that is wrong answers 200. */
export const json = { 'content-type': 'application/json', accept: 'application/graphql-response+json' } as const

/** A GraphQL operation as JSON, with any headers. */
export function ask(
  house: TestHouse,
  plane: Plane,
  headers: Readonly<Record<string, string>>,
  query: string,
  variables: unknown = {},
): Promise<Answered> {
  const body = JSON.stringify({ query, variables })
  return send(house, { path: `/graphql/${plane}`, headers: { ...json, ...headers }, body })
}

export const viewer = '{ viewer { email membership { role plane } } }'

export const signIn = `mutation ($input: SignInInput!) {
  signIn(input: $input) { ... on SignedIn { accessToken refreshToken } ... on Fault { code } }
}`

/** Signs a member in as a browser does. @returns the Cookie header to send back. */
export async function cookieOf(house: TestHouse, tenant: TestTenant, role: Role): Promise<string> {
  const { plane, email } = tenant.member[role]
  const answer = await ask(house, plane, { 'x-maristan-tenant': tenant.slug }, signIn, { input: { email, password, transport: 'COOKIE' } })
  const cookie = answer.headers['set-cookie']?.[0]?.split(';')[0]
  if (!cookie) throw new Error(`${email} got no cookie: ${answer.text}`)
  return cookie
}

/** How many statements this process sends to Postgres while `work` runs. */
export async function statementsDuring(work: () => Promise<unknown>): Promise<number> {
  const tap = vi.spyOn(pg.Client.prototype, 'query')
  try {
    await work()
    return tap.mock.calls.length
  } finally {
    tap.mockRestore()
  }
}
