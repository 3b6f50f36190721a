/** The only place where modules meet: the list of them, and the server they make together. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { createEdge } from './edge.ts'
import { systemClock } from './kernel/clock.ts'
import { unauthenticated } from './kernel/fault.ts'
import type { Locale } from './kernel/locale.ts'
import { planes, type Caller, type Plane } from './kernel/scope.ts'
import { planesOf, type Permission } from './modules/access/contract.ts'
import { audit } from './modules/audit/index.ts'
import { care } from './modules/care/index.ts'
import { custody } from './modules/governance/custody/index.ts'
import { emergency } from './modules/governance/emergency/index.ts'
import { hitl } from './modules/governance/hitl/index.ts'
import { guessableFields, letterPages, sessionRoute, type BearerMemory, type Identity } from './modules/identity/contract.ts'
import type { Scim } from './modules/federation/scim/contract.ts'
import { scim } from './modules/federation/scim/index.ts'
import { scimRoute } from './modules/federation/scim/routes.ts'
import { identity } from './modules/identity/index.ts'
import type { Saml } from './modules/federation/saml/contract.ts'
import { saml, type buildSaml } from './modules/federation/saml/index.ts'
import type { Tenancy } from './modules/tenancy/contract.ts'
import { tenancy } from './modules/tenancy/index.ts'
import { vault } from './modules/vault/index.ts'
import { compose, type Composed } from './platform/compose.ts'
import { readConfig, type Config } from './platform/config.ts'
import { openLocalKms } from './platform/crypto/kms-local.ts'
import type { Kms } from './platform/crypto/kms.ts'
import type { ConfirmedAdd } from './platform/db/confirmed-add.ts'
import { Database } from './platform/db/database.ts'
import type { Foundation } from './platform/db/foundation.ts'
import { migrationNames } from './platform/db/migrate.ts'
import { CompiledReads } from './platform/graphql/compiled/reads.ts'
import { readTables } from './platform/graphql/compiled/tables.ts'
import { createContext } from './platform/graphql/context.ts'
import { createEndpoint, type Endpoint } from './platform/graphql/endpoint.ts'
import { healthRoutes } from './platform/http/health.ts'
import { localeOf } from './platform/http/language.ts'
import { createLog, type Log } from './platform/http/log.ts'
import { createHttpMetrics, metricsRoute, type HttpMetrics } from './platform/http/metrics.ts'
import type { RequestContext, Route } from './platform/http/router.ts'
import { createHttpServer, type HttpLimits, type HttpServer } from './platform/http/server.ts'
import { createTenantDoor } from './platform/http/tenant.ts'
import { openMailSpool } from './platform/mail.ts'
import type { AnyModule, Services } from './platform/module.ts'
import { Watchers } from './platform/watch/watchers.ts'

/** A line of the audit trail that waits longer for its place in the chain makes the server not ready. */
const mostSealLagSeconds = 5

/** Every module of the building. A new one is one line here. */
export const modules: readonly AnyModule[] = [tenancy, vault, audit, identity, hitl, care, emergency, custody, scim, saml]

/** Composes the modules over a database, without listening anywhere: what the command line and tests use too. */
export async function composeHouse(config: Config, foundation: Pick<Foundation, 'database'>, log: Log): Promise<Composed> {
  const { database } = foundation
  return composeModules(database, {
    clock: systemClock,
    log,
    config,
    kms: await openKms(config, database),
    mail: openMailSpool(join(config.dataDir, 'mail'), 'Maristan <no-reply@maristan.invalid>'),
  })
}

async function openKms({ kms, dataDir }: Config, database: Database): Promise<Kms> {
  // The AWS client is large: it is loaded only where it is wanted.
  if (kms.provider === 'aws') return (await import('./platform/crypto/kms-aws.ts')).openAwsKms(kms)
  // Sealed values exist once the platform has a key: from then on a missing key file is a loss, not a first start.
  return openLocalKms({ file: join(dataDir, 'kms.json'), mayCreate: !(await database.gate.hasPlatformKey()) })
}

function composeModules(database: Database, services: Services): Composed {
  return compose({ modules, services, database, planesOf: (permission) => planesOf(permission as Permission) })
}

/** The house on paper: schemas and manifests, with a database that is never asked and keys that do not exist. */
export function drawHouse(): Composed {
  const config = readConfig({ LOG_LEVEL: 'silent' })
  const refuse = () => Promise.reject(new Error('This house is only drawn.'))
  return composeModules(new Database({ url: 'postgres://127.0.0.1/nowhere', loginSecret: 'drawn', preparedStatements: true }), {
    clock: systemClock,
    log: createLog({ level: 'silent' }),
    config,
    kms: { provider: 'local', keyId: 'drawn', generate: refuse, unwrap: refuse, rewrap: refuse, describe: refuse, close() {} },
    mail: { send: refuse },
  })
}

/** SAML as the server holds it: its routes ask the edge who comes. */
const samlOf = (composed: Composed) => composed.made['saml'] as ReturnType<typeof buildSaml>

export interface House {
  readonly server: HttpServer
  readonly routes: readonly Route[]
  readonly composed: Composed
  /** Says that everything a start has to do is done; until then `/readyz` names `starting`. */
  started(): void
  readonly metrics: HttpMetrics
}

/** The server over a composed house: one GraphQL endpoint a plane, the modules' routes, health and metrics. */
export function createHouse(config: Config, foundation: Pick<Foundation, 'database'>, composed: Composed, log: Log, limits: Partial<HttpLimits> = {}): House {
  const { database } = foundation
  let starting = true
  const metrics = createHttpMetrics()
  const publicHost = config.publicUrl === null ? [] : [new URL(config.publicUrl).hostname]
  const door = createTenantDoor(database.gate, ['localhost', ...publicHost])
  const { contract: identityContract, memory } = composed.made['identity'] as { contract: Identity; memory: BearerMemory }
  const edge = createEdge({ database, door, identity: identityContract, memory })
  const tables = readTables(database.storedModels)
  const watchers = new Watchers({ changes: (since, tenantIds) => database.gate.changes(since, tenantIds), log })

  const endpoints = Object.fromEntries(
    planes.map((plane) => [
      plane,
      createEndpoint({
        plane,
        schema: composed.schemas.plane[plane],
        development: config.demo,
        guessable: guessableFields,
        log,
        reads: new CompiledReads({
          schema: composed.schemas.plane[plane],
          tables,
          read: (read) => database.readConfirmed(read),
          open: (caller, signal) =>
            createContext({ unit: database.unit(caller, signal), plane, locale: 'en', answer: { setCookie() {} } }),
          failed: (error) => log.error('graphql.plan-failed', { plane, error }),
        }),
        watchers,
        open: (caller, signal, confirmedBy) => database.unit(caller, signal, confirmedBy),
      }),
    ]),
  ) as Record<Plane, Endpoint>

  const answer = (plane: Plane, request: IncomingMessage, response: ServerResponse, http: RequestContext) =>
    endpoints[plane].handle(
      request,
      response,
      http,
      async () => ({
        caller: await edge.ask(plane, request, http),
        http,
        locale: localeOf(request.headers['accept-language'], 'en' satisfies Locale),
      }),
      () => edge.expect(plane, request, http),
    )

  const scimEdge = {
    open: (caller: Caller, signal: AbortSignal | null) => database.unit(caller, signal),
    add: <Row extends object>(add: ConfirmedAdd) => database.addConfirmed<Row>(add),
    door,
    scim: composed.made['scim']!.contract as Scim,
    config,
    clock: systemClock,
    log,
  }

  const routes: Route[] = [
    ...planes
      .filter((plane) => plane !== 'integrator')
      .map((plane): Route => ({
        method: '*',
        path: `/graphql/${plane}`,
        name: `graphql.${plane}`,
        handle: (request, response, http) => answer(plane, request, response, http),
      })),
    {
      method: '*',
      path: '/graphql',
      name: 'graphql',
      handle: (request, response, http) => {
        const browser = request.method === 'GET' && request.headers.authorization === undefined
        if (browser && config.demo) {
          response.writeHead(302, { location: '/graphql/console' }).end()
          return
        }
        return answer(edge.planeOfBearer(request), request, response, http)
      },
    },
    sessionRoute(async (request, http) => {
      const plane = edge.planeOfCredential(request)
      if (plane === null) throw unauthenticated()
      return database.unit(await edge.ask(plane, request, http), http.signal)
    }, identityContract, composed.made['saml']!.contract as Saml),
    ...letterPages({
      identity: identityContract,
      tenancy: composed.made['tenancy']!.contract as Tenancy,
      visit: async (request, http) => database.unit(await edge.visitHere(request, http), http.signal),
    }),
    scimRoute({ ...(composed.made['scim'] as ReturnType<typeof scim.build>), ...scimEdge }),
    samlOf(composed).route({
      visit: async (slug, request, http) => database.unit(await edge.visit(slug, request, http), http.signal),
      ask: async (slug, plane, request, http) => database.unit(await edge.askAt(slug, plane, request, http), http.signal),
    }),
    ...composed.routes,
    ...healthRoutes({
      starting: async () => {
        if (starting) throw new Error('The start is not over.')
      },
      database: () => database.gate.ping(),
      migrations: async () => {
        const applied = new Set(await database.gate.appliedMigrations())
        const missing = (await migrationNames()).filter((name) => !applied.has(name))
        if (missing.length > 0) throw new Error(`${missing.length} migrations are not applied.`)
      },
      audit: async () => {
        const { lagSeconds } = await database.gate.sealState()
        if (lagSeconds >= mostSealLagSeconds) throw new Error('The audit trail is not being sealed.')
      },
      keys: async () => {
        if (!(await database.gate.hasPlatformKey())) throw new Error('The platform has no key.')
      },
    }),
    metricsRoute(metrics, config.metricsToken),
  ]
  const server = createHttpServer({ routes, limits, log, metrics, trustedProxies: config.trustedProxies })
  return { server, routes, composed, metrics, started: () => void (starting = false) }
}
