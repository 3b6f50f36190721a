/** Identity: who somebody is. It never says what anybody may do. */
import { authLogin, defineModule } from '../../platform/module.ts'
import { createAttempts } from './attempts.ts'
import { sessionRevoked, type Identity } from './contract.ts'
import { directoryEvents } from './contract-directory.ts'
import { memberEvents, memberPermissions } from './contract-members.ts'
import { identityGraph } from './graph.ts'
import { accessGraph } from './graph-access.ts'
import { membersGraph } from './graph-members.ts'
import { createKeys } from './keys.ts'
import { createRepo } from './repo.ts'
import { createDirectoryRepo } from './repo-directory.ts'
import { createFactorsRepo } from './repo-factors.ts'
import { createKeyRepo } from './repo-keys.ts'
import { createMembersRepo } from './repo-members.ts'
import { createNodeRepo } from './repo-nodes.ts'
import { createRetentionRepo } from './repo-retention.ts'
import { createSessionRepo } from './repo-sessions.ts'
import { createSignOnRepo } from './repo-sign-on.ts'
import { createThrottleRepo } from './repo-throttle.ts'
import { createRetention } from './retention.ts'
import { jwksRoute } from './routes.ts'
import { createIdentity } from './service.ts'
import { createAdministration } from './service-administration.ts'
import { createDirectory } from './service-directory.ts'
import { createOperatorGuard } from './service-operator.ts'
import { createSignOn } from './service-sign-on.ts'

export const identity = defineModule({
  name: 'identity',
  summary: 'Who somebody is, how that is proven and how long it is believed. It never says what anybody may do.',
  needs: ['tenancy', 'vault'],
  owns: [
    'Identity',
    'Credential',
    'TotpDevice',
    'RecoveryCode',
    'Membership',
    'DirectoryLink',
    'Session',
    'Invitation',
    'OneTimeToken',
    'ApiToken',
    'ThrottleCount',
    'SigningKey',
    'SignOnRule',
  ],
  permissions: memberPermissions,
  events: [sessionRevoked, ...memberEvents, ...directoryEvents],
  rawSql: true,
  build: ({ db, sql, clock, config, mail, log }, { tenancy, vault }) => {
    const keys = createKeys({ repo: createKeyRepo({ db, sql }), vault, clock })
    const attempts = createAttempts({ repo: createThrottleRepo({ sql }), secret: keys.throttleSecret, clock })
    const repo = createRepo({ db, sql })
    const sessions = createSessionRepo({ db, sql })
    const members = createMembersRepo(db, sql)
    const factors = createFactorsRepo(db, sql)
    const signOn = createSignOnRepo(db, sql)
    const parts = { repo, members, factors, sessions, signOn, keys, attempts, vault, tenancy, clock, config, mail, log }
    const { contract: signingIn, memory, settled } = createIdentity(parts)
    const onlyOperator = createOperatorGuard({ repo: members, tenancy, isDemo: config.demo })
    const directory = createDirectory({ ...parts, onlyOperator, directory: createDirectoryRepo(db, sql) })
    const contract: Identity = Object.freeze({ ...signingIn, ...createAdministration(parts), ...directory, ...createSignOn(parts) })
    const retention = createRetention({ repo: createRetentionRepo({ sql }), clock })
    return { contract, memory, settled, keys, clock, members, retention, nodes: createNodeRepo(db) }
  },
  jobs: [
    { name: 'rotate-keys', cron: '17 3 * * *', inEveryTenant: false, run: ({ keys }) => keys.keepFresh() },
    { name: 'tidy', cron: '41 2 * * *', inEveryTenant: true, login: authLogin, run: ({ retention }, scope) => retention.tidy(scope) },
  ],
  boot: ({ keys }, open) => keys.boot(open),
  settle: ({ settled }) => settled(),
  graph: (builder, refs, made) => {
    const graph = identityGraph(builder, refs, made)
    membersGraph(builder, { ...graph, Locale: refs.tenancy.Locale }, made)
    accessGraph(builder, graph, made)
    return graph
  },
  routes: (_platform, { keys }) => [jwksRoute(keys)],
})
