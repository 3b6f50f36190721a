/**
 * Every route of the server, asked as it is over HTTP: a credential of one tenant is shown at the other's address, by host and by header, as a
 * bearer and as a cookie, and the secret of a letter is handed in at the other's page. It must be refused there, and be good at home. A route
 * that no attack is built for, and that is not known to hold nothing of any tenant, is not proven.
 */
import type { IncomingMessage } from 'node:http'
import { csrfHeader } from '../credentials.ts'
import { createEdge, type Edge } from '../edge.ts'
import { planes, signInPlanes, type Caller, type Plane } from '../kernel/scope.ts'
import { samlPlanes } from '../modules/federation/saml/rules.ts'
import type { BearerMemory, Identity } from '../modules/identity/contract.ts'
import type { Composed } from '../platform/compose.ts'
import { createTenantDoor, tenantHeader } from '../platform/http/tenant.ts'
import type { RequestContext, Route } from '../platform/http/router.ts'
import { exemptRoutes, suppliedArguments } from './arguments.ts'
import type { BoundDatabase } from './bound-database.ts'
import { requestOf, send, type Came, type Sent } from './in-process.ts'
import { ScimAttacks } from './scim-attacks.ts'
import { newFindings } from './table-attacks.ts'
import { throwawayPassword, type ThrowawayTenant } from './throwaway-tenant.ts'

type Headers = Readonly<Record<string, string>>

type Asked = Pick<Sent, 'method' | 'body'> & { readonly headers: Headers }

/** What anybody may ask of any plane. */
const questionWith = (headers: Headers): Asked => ({
  method: 'POST',
  headers: { ...headers, 'content-type': 'application/json', [csrfHeader]: '1' },
  body: JSON.stringify({ query: '{ __typename }' }),
})

/** Whether an answer holds what was asked for. */
const isAnswered = ({ status, text }: Came): boolean => status === 200 && !text.includes('"errors":[')

/** The pages behind our letters, and the mutation whose secret each takes. */
const letterPages = { '/invite': 'mutation.acceptInvitation', '/reset-password': 'mutation.resetPassword' } as const

/** Host and tenant header of every way to another tenant's door. */
const elsewhereOf = (victim: ThrowawayTenant, attacker: ThrowawayTenant): readonly (readonly [how: string, host: string, extra: Headers])[] => [
  ['the other host', `${attacker.slug}.localhost`, {}],
  ['the other name in the header', 'localhost', { [tenantHeader]: attacker.slug }],
  ['its own host and the other name in the header', `${victim.slug}.localhost`, { [tenantHeader]: attacker.slug }],
  ['the other host and its own name in the header', `${attacker.slug}.localhost`, { [tenantHeader]: victim.slug }],
]

export class RouteAttacks {
  readonly findings = newFindings()
  /** Method and path of those that were attacked. */
  readonly attacked = new Set<string>()
  readonly #database: BoundDatabase
  readonly #identity: Identity
  readonly #house: Composed
  readonly #edge: Edge
  readonly #routes: readonly Route[]

  /** @param routes the server's own, over the proof's database. */
  constructor(database: BoundDatabase, house: Composed, routes: readonly Route[]) {
    this.#database = database
    this.#house = house
    this.#routes = routes
    const { contract, memory } = house.made['identity'] as { contract: Identity; memory: BearerMemory }
    this.#identity = contract
    this.#edge = createEdge({ database, door: createTenantDoor(database.gate, ['localhost']), identity: contract, memory })
  }

  async attack(victim: ThrowawayTenant, attacker: ThrowawayTenant, progress: (what: string) => void): Promise<void> {
    for (const plane of planes) {
      const path = plane === 'integrator' ? '/graphql' : `/graphql/${plane}`
      progress(path)
      for (const [kind, headers] of await this.#credentials(victim, plane)) {
        await this.#credential(`${path} with a ${kind}`, plane, headers, victim, attacker)
        await this.#answers('*', path, `${path} with a ${kind}`, questionWith(headers), victim, attacker)
        // The plane of a bearer's own is what `/graphql` answers with.
        if (kind === 'bearer') await this.#answers('*', '/graphql', `/graphql with a bearer of ${plane}`, questionWith(headers), victim, attacker)
        await this.#answers('GET', '/session', `/session with a ${kind} of ${plane}`, { method: 'GET', headers }, victim, attacker)
      }
    }
    for (const [path, mutation] of Object.entries(letterPages)) {
      progress(path)
      await this.#letter(path, mutation, victim, attacker)
    }
    progress('/scim/v2')
    this.attacked.add('* /scim/v2/*')
    await new ScimAttacks(this.#database, this.#house, this.findings).attack(victim, attacker)
    progress('/saml')
    this.attacked.add('* /saml/*')
    for (const plane of samlPlanes) {
      for (const [kind, headers] of await this.#credentials(victim, plane)) await this.#samlDoor(`/saml with a ${kind}`, plane, headers, victim, attacker)
    }
    const names = this.#routes.map(({ method, path }) => `${method} ${path}`)
    for (const name of names) {
      if (name in exemptRoutes) this.findings.exempt.push(`${name}: ${exemptRoutes[name]}`)
      else if (!this.attacked.has(name)) this.findings.unproven.push(`${name}: no attack on this route is built.`)
    }
    for (const name of [...this.attacked, ...Object.keys(exemptRoutes)]) {
      if (!names.includes(name)) this.findings.unproven.push(`${name}: the server has no such route.`)
    }
  }

  /** The route itself: it answers with what is its tenant's at home, and with a refusal anywhere else. */
  async #answers(method: string, path: string, name: string, asked: Asked, victim: ThrowawayTenant, attacker: ThrowawayTenant): Promise<void> {
    this.attacked.add(`${method} ${path}`)
    const ask = (host: string, extra: Headers) =>
      this.#send(`${method} ${path}`, { ...asked, path, host, headers: { ...asked.headers, ...extra } })
    const home = await ask(`${victim.slug}.localhost`, {})
    if (home === null || !isAnswered(home)) {
      this.findings.unproven.push(`${name}: it was not answered at home (${home === null ? 'no such route' : home.status}).`)
      return
    }
    this.findings.controls++
    for (const [how, host, extra] of elsewhereOf(victim, attacker)) {
      this.findings.attacks++
      const answer = (await ask(host, extra))!
      if (isAnswered(answer)) this.findings.leaks.push(`${name}, ${how}: it was answered.`)
    }
  }

  /** The secret of one tenant's letter, at the other's page and at its own, in this order: it must still be good. */
  async #letter(path: string, mutation: string, victim: ThrowawayTenant, attacker: ThrowawayTenant): Promise<void> {
    this.attacked.add(`POST ${path}`)
    const caller = victim.callers('consumer').find(({ actor }) => actor.kind === 'member')!
    const { token, ...secret } = (await suppliedArguments(mutation, victim, caller, this.#database, this.#house)) as Readonly<Record<string, string>>
    const body = new URLSearchParams({ token: token!, password: Object.values(secret)[0]! }).toString()
    const ask = (host: string, extra: Headers) =>
      this.#send(`POST ${path}`, { method: 'POST', path, host, headers: { 'content-type': 'application/x-www-form-urlencoded', ...extra }, body })
    for (const [how, host, extra] of elsewhereOf(victim, attacker).slice(0, 2)) {
      this.findings.attacks++
      if ((await ask(host, extra))?.status === 200) this.findings.leaks.push(`${path}, ${how}: the secret of a letter was taken.`)
    }
    const home = await ask(`${victim.slug}.localhost`, {})
    if (home?.status === 200) this.findings.controls++
    else this.findings.unproven.push(`${path}: the secret of a letter was not taken at home (${home?.status ?? 'no such route'}).`)
  }

  /** @returns null where the server has no such route. */
  async #send(name: string, sent: Sent): Promise<Came | null> {
    const route = this.#routes.find(({ method, path }) => `${method} ${path}` === name)
    return route ? send(route, sent) : null
  }

  async #credential(name: string, plane: Plane, headers: Headers, victim: ThrowawayTenant, attacker: ThrowawayTenant): Promise<void> {
    const own = await this.#ask(plane, `${victim.slug}.localhost`, headers)
    if (typeof own === 'string' || own.tenantId !== victim.plot.tenantId) {
      this.findings.unproven.push(`${name}: it did not open its own tenant's door (${typeof own === 'string' ? own : 'another tenant'}).`)
      return
    }
    if (name.endsWith('a bearer') && !(await this.#expected(plane, `${victim.slug}.localhost`, headers))) {
      this.findings.unproven.push(`${name}: it was not remembered at its own door.`)
    }
    this.findings.controls++
    for (const [how, host, extra] of elsewhereOf(victim, attacker)) {
      this.findings.attacks++
      const answer = await this.#ask(plane, host, { ...headers, ...extra })
      if (typeof answer !== 'string') this.findings.leaks.push(`${name}, ${how}: it was let in.`)
      if (await this.#expected(plane, host, { ...headers, ...extra })) this.findings.leaks.push(`${name}, ${how}: it was remembered.`)
    }
    for (const other of planes.filter((one) => one !== plane)) {
      this.findings.attacks++
      const answer = await this.#ask(other, `${victim.slug}.localhost`, headers)
      if (typeof answer !== 'string' && answer.actor.kind !== 'anonymous') this.findings.leaks.push(`${name}: it was let in on ${other}.`)
      if (await this.#expected(other, `${victim.slug}.localhost`, headers)) this.findings.leaks.push(`${name}: it was remembered on ${other}.`)
    }
  }

  /** The path names the tenant there: neither another host nor another tenant's credential may come along. */
  async #samlDoor(name: string, plane: Plane, headers: Headers, victim: ThrowawayTenant, attacker: ThrowawayTenant): Promise<void> {
    const ask = (slug: string, host: string) =>
      this.#refusalOf((request, http) => this.#edge.askAt(slug, plane, request, http), `/saml/${slug}/login`, host, headers)
    const own = await ask(victim.slug, `${victim.slug}.localhost`)
    if (typeof own === 'string' || own.actor.kind !== 'member') {
      this.findings.unproven.push(`${name}: it did not open its own tenant's door.`)
      return
    }
    this.findings.controls++
    for (const [slug, host] of [
      [attacker.slug, 'localhost'],
      [attacker.slug, `${attacker.slug}.localhost`],
      [attacker.slug, `${victim.slug}.localhost`],
      [victim.slug, `${attacker.slug}.localhost`],
    ] as const) {
      this.findings.attacks++
      if (typeof (await ask(slug, host)) !== 'string') this.findings.leaks.push(`${name} at /saml/${slug} on ${host}: it was let in.`)
    }
  }

  /** Every credential that the plane's members can hold. */
  async #credentials(tenant: ThrowawayTenant, plane: Plane): Promise<[string, Headers][]> {
    const signIn = signInPlanes.find((one) => one === plane)
    if (!signIn) return [['token', { authorization: `Bearer ${tenant.apiToken}` }]]
    const nobody = this.#database.unit(tenant.callers(plane).find(({ actor }) => actor.kind === 'anonymous')!)
    const made: [string, Headers][] = []
    for (const transport of ['BEARER', 'COOKIE'] as const) {
      const input = { email: tenant.emailOn(plane), password: throwawayPassword, plane: signIn, transport }
      const result = await nobody.read(() => this.#identity.signIn(nobody.scope, input))
      if (result.kind !== 'SIGNED_IN') throw new Error('A throw-away member could not sign in.')
      if (result.accessToken !== null) made.push(['bearer', { authorization: `Bearer ${result.accessToken}` }])
      if (result.setCookie !== null) made.push(['cookie', { cookie: result.setCookie.split(';')[0]! }])
    }
    return made
  }

  /** Who the edge takes the caller for, or the code with which it refuses. */
  #ask(plane: Plane, host: string, headers: Headers): Promise<Caller | string> {
    return this.#refusalOf((request, http) => this.#edge.ask(plane, request, http), `/graphql/${plane}`, host, headers)
  }

  async #refusalOf(
    ask: (request: IncomingMessage, http: RequestContext) => Promise<Caller>,
    path: string,
    host: string,
    headers: Headers,
  ): Promise<Caller | string> {
    const { request, http } = requestOf({ method: 'GET', path, host, headers })
    return ask(request, http).catch((error: { code?: unknown; message: string }) => String(error.code ?? error.message))
  }

  /** Whether the edge would have the database confirm a caller that it remembers. */
  async #expected(plane: Plane, host: string, headers: Headers): Promise<boolean> {
    const { request, http } = requestOf({ method: 'GET', path: `/graphql/${plane}`, host, headers })
    return (await this.#edge.expect(plane, request, http)) !== null
  }
}
