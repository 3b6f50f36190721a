/** SAML: people of a hospital sign in through its own identity provider. It believes nothing that the guard has not verified. */
import { setSchemaValidator } from 'samlify'
import { createEgress } from '../../../platform/http/egress.ts'
import { checked } from '../../../platform/contract.ts'
import { authLogin, defineModule } from '../../../platform/module.ts'
import { createConnections } from './connections.ts'
import { certificateExpiring, connectionMoved, signOnMethods, type Saml } from './contract.ts'
import { administrationMethods } from './contract-administration.ts'
import { samlGraph } from './graph.ts'
import { samlGuard } from './guard/guard.ts'
import { createKeys } from './keys.ts'
import type { Parts } from './parts.ts'
import { createRefresh } from './refresh.ts'
import { createRepo } from './repo.ts'
import { createTidying } from './retention.ts'
import { createKeyRepo } from './repo-keys.ts'
import { createTrafficRepo } from './repo-traffic.ts'
import { samlRoute, type SamlDoor } from './routes.ts'
import { createAdministrationService } from './service-administration.ts'
import { createLogoutService } from './service-logout.ts'
import { createSignOnService } from './service-sign-on.ts'
import { createSetupPages } from './setup/pages.ts'
import { createStanding } from './standing.ts'
import { txtRecords } from './txt-records.ts'

// samlify refuses to read without a validator. It only writes here; whoever had it read would meet the guard's grammar.
setSchemaValidator({ validate: (xml: string) => samlGuard.validate(xml) })

/** What the module is built of. `resolver` may be another one in tests: it is asked at each look. */
export function buildSaml(parts: Omit<Parts, 'keys'> & { readonly keyRepo: Parameters<typeof createKeys>[0]['repo'] }) {
  const keys = createKeys({ repo: parts.keyRepo, vault: parts.vault, clock: parts.clock })
  const resolver = { txtOf: parts.txtOf }
  const all: Parts = { ...parts, keys, txtOf: (name) => resolver.txtOf(name) }
  const standing = createStanding(all)
  const connections = createConnections(all, standing)
  const signOn = { ...createSignOnService(all, standing), ...createLogoutService(all, connections) }
  const contract: Saml = Object.freeze({
    ...checked(signOnMethods, signOn),
    ...checked(administrationMethods, createAdministrationService(all, connections, standing)),
  })
  const setup = createSetupPages(all, connections)
  const refresh = createRefresh(all, connections, standing)
  return { contract, refresh, tidy: createTidying(all), resolver, egress: parts.egress, route: (door: SamlDoor) => samlRoute(door, contract, setup) }
}

export const saml = defineModule({
  name: 'saml',
  summary: 'Sign-on through a hospital\'s own identity provider. It believes nothing that the guard has not verified.',
  needs: ['tenancy', 'vault', 'identity'],
  owns: [
    'SsoConnection',
    'SsoCertificate',
    'SsoDomain',
    'SsoRule',
    'SamlKey',
    'SamlRequest',
    'SamlOutcome',
    'SamlReplay',
    'SamlAttempt',
    'SamlSession',
    'SamlSetup',
    'SamlRecovery',
  ],
  events: [connectionMoved, certificateExpiring],
  rawSql: true,
  build: ({ db, sql, clock, config, mail, log }, { tenancy, vault, identity }) =>
    buildSaml({
      repo: createRepo(db),
      traffic: createTrafficRepo(db),
      keyRepo: createKeyRepo(db, sql),
      guard: samlGuard,
      identity,
      tenancy,
      vault,
      egress: createEgress(),
      txtOf: (name) => txtRecords(name),
      clock,
      config,
      mail,
      log,
    }),
  graph: (builder, _refs, { contract }) => samlGraph(builder, contract),
  jobs: [
    { name: 'refresh', cron: '41 2 * * *', inEveryTenant: true, runInSteps: ({ refresh }, open) => refresh.run(open) },
    { name: 'tidy', cron: '53 * * * *', inEveryTenant: true, login: authLogin, run: ({ tidy }, scope) => tidy(scope) },
  ],
  permissions: ['sso:manage'],
  settle: ({ egress }) => egress.close(),
})
