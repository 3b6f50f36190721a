/**
 * The doors in front of every route that asks who is calling: a credential of one tenant is shown at the other's address, by host and by
 * header, as a bearer and as a cookie. It must be refused there, and open its own tenant's door.
 */
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { createEdge, type Edge } from '../edge.ts'
import { newId } from '../kernel/id.ts'
import { planes, signInPlanes, type Caller, type Plane } from '../kernel/scope.ts'
import { samlPlanes } from '../modules/federation/saml/rules.ts'
import type { BearerMemory, Identity } from '../modules/identity/contract.ts'
import type { Composed } from '../platform/compose.ts'
import { createTenantDoor, tenantHeader } from '../platform/http/tenant.ts'
import type { RequestContext } from '../platform/http/router.ts'
import { exemptRoutes } from './arguments.ts'
import type { BoundDatabase } from './bound-database.ts'
import { ScimAttacks } from './scim-attacks.ts'
import { newFindings } from './table-attacks.ts'
import { throwawayPassword, type ThrowawayTenant } from './throwaway-tenant.ts'

type Headers = Readonly<Record<string, string>>

export class RouteAttacks {
  readonly findings = newFindings()
  routes = 0
  readonly #database: BoundDatabase
  readonly #identity: Identity
  readonly #house: Composed
  readonly #edge: Edge

  constructor(database: BoundDatabase, house: Composed) {
    this.#database = database
    this.#house = house
    const { contract, memory } = house.made['identity'] as { contract: Identity; memory: BearerMemory }
    this.#identity = contract
    this.#edge = createEdge({ database, door: createTenantDoor(database.gate, ['localhost']), identity: contract, memory })
  }

  /** Attacks the door of each plane's endpoint; `/session` passes the same doors. */
  async attack(victim: ThrowawayTenant, attacker: ThrowawayTenant, progress: (what: string) => void): Promise<void> {
    for (const plane of planes) {
      progress(`/graphql/${plane}`)
      this.routes++
      for (const [kind, headers] of await this.#credentials(victim, plane))
        await this.#credential(`/graphql/${plane} with a ${kind}`, plane, headers, victim, attacker)
    }
    progress('/scim/v2')
    this.routes++
    await new ScimAttacks(this.#database, this.#house, this.findings).attack(victim, attacker)
    progress('/saml')
    this.routes++
    for (const plane of samlPlanes) {
      for (const [kind, headers] of await this.#credentials(victim, plane)) await this.#samlDoor(`/saml with a ${kind}`, plane, headers, victim, attacker)
    }
    for (const { method, path } of this.#house.routes) {
      if (!(`${method} ${path}` in exemptRoutes)) this.findings.unproven.push(`${method} ${path}: no attack on this route is built.`)
    }
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
    const elsewhere: readonly (readonly [how: string, host: string, extra: Headers])[] = [
      ['the other host', `${attacker.slug}.localhost`, {}],
      ['the other name in the header', 'localhost', { [tenantHeader]: attacker.slug }],
      ['its own host and the other name in the header', `${victim.slug}.localhost`, { [tenantHeader]: attacker.slug }],
      ['the other host and its own name in the header', `${attacker.slug}.localhost`, { [tenantHeader]: victim.slug }],
    ]
    for (const [how, host, extra] of elsewhere) {
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
    const { request, http } = this.#request(path, host, headers)
    return ask(request, http).catch((error: { code?: unknown; message: string }) => String(error.code ?? error.message))
  }

  /** Whether the edge would have the database confirm a caller that it remembers. */
  async #expected(plane: Plane, host: string, headers: Headers): Promise<boolean> {
    const { request, http } = this.#request(`/graphql/${plane}`, host, headers)
    return (await this.#edge.expect(plane, request, http)) !== null
  }

  #request(path: string, host: string, headers: Headers): { request: IncomingMessage; http: RequestContext } {
    const request = new IncomingMessage(new Socket())
    request.method = 'GET'
    Object.assign(request.headers, headers, { host })
    const never = new AbortController().signal
    const http: RequestContext = {
      requestId: newId(),
      client: { address: '127.0.0.1', host, protocol: 'http', forwarded: false },
      path,
      query: '',
      signal: never,
      stopping: never,
      holdStream: () => true,
    }
    return { request, http }
  }
}
