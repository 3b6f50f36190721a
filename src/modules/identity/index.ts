/** Identity: who somebody is. It never says what anybody may do. */
import { defineModule } from '../../platform/module.ts'
import { createAttempts } from './attempts.ts'
import { sessionRevoked } from './contract.ts'
import { identityGraph } from './graph.ts'
import { createKeys } from './keys.ts'
import { createRepo } from './repo.ts'
import { createKeyRepo } from './repo-keys.ts'
import { createNodeRepo } from './repo-nodes.ts'
import { createSessionRepo } from './repo-sessions.ts'
import { createThrottleRepo } from './repo-throttle.ts'
import { jwksRoute } from './routes.ts'
import { createIdentity } from './service.ts'

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
    'Session',
    'Invitation',
    'OneTimeToken',
    'ApiToken',
    'ThrottleCount',
    'SigningKey',
  ],
  events: [sessionRevoked],
  rawSql: true,
  build: ({ db, sql, clock, config, mail, log }, { tenancy, vault }) => {
    const keys = createKeys({ repo: createKeyRepo({ db, sql }), vault, clock })
    const attempts = createAttempts({ repo: createThrottleRepo({ sql }), secret: keys.throttleSecret, clock })
    const repo = createRepo({ db, sql })
    const sessions = createSessionRepo({ db, sql })
    const { contract, settled } = createIdentity({ repo, sessions, keys, attempts, vault, tenancy, clock, config, mail, log })
    return { contract, settled, keys, nodes: createNodeRepo(db) }
  },
  jobs: [{ name: 'rotate-keys', cron: '17 3 * * *', run: ({ keys }) => keys.keepFresh() }],
  boot: ({ keys }, open) => keys.boot(open),
  graph: (builder, refs, made) => identityGraph(builder, refs, made),
  routes: (_platform, { keys }) => [jwksRoute(keys)],
})
