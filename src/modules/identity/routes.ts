/** Identity's plain HTTP: the published keys, and who is signed in. Nothing here changes anything. */
import type { IncomingMessage } from 'node:http'
import { AbsentFault, DeniedFault } from '../../kernel/fault.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { Unit } from '../../platform/db/unit.ts'
import { answerJson, answerRefusal } from '../../platform/http/answer.ts'
import type { RequestContext, Route } from '../../platform/http/router.ts'
import type { Identity } from './contract.ts'
import type { Keys } from './keys.ts'

/** Below the time for which a key is published before it signs, and short enough to see one withdrawn. */
const jwksMaxAgeSeconds = 300

/** `/.well-known/jwks.json` (RFC 7517 §5). */
export function jwksRoute(keys: Pick<Keys, 'published'>): Route {
  return {
    method: 'GET',
    path: '/.well-known/jwks.json',
    name: 'jwks',
    async handle(_request, response) {
      const document = await keys.published()
      response.setHeader('cache-control', `public, max-age=${jwksMaxAgeSeconds}`)
      answerJson(response, 200, document)
    },
  }
}

/**
 * `/session`: whoever is signed in, else 401.
 * @param federation knows by which name the identity provider called the person.
 * @param ask answers the unit of work of the one who asks; whoever is refused, or unknown, is 401 here.
 */
export function sessionRoute(
  ask: (request: IncomingMessage, http: RequestContext) => Promise<Unit>,
  identity: Pick<Identity, 'self'>,
  federation: { nameId(scope: Scope, input: object): Promise<{ nameId: string | null }> },
): Route {
  return {
    method: 'GET',
    path: '/session',
    name: 'session',
    async handle(request, response, http) {
      try {
        const unit = await ask(request, http)
        const [self, { nameId }] = await unit.read(() => Promise.all([identity.self(unit.scope, {}), federation.nameId(unit.scope, {})]))
        const { tenant, email, role, plane, via } = self
        answerJson(response, 200, { tenant, email, nameId, role, plane, via })
      } catch (error) {
        // A credential that names no tenant of ours signs nobody in either.
        if (!(error instanceof DeniedFault || error instanceof AbsentFault)) throw error
        answerRefusal(response, 401, error.code, error.message)
      }
    },
  }
}
