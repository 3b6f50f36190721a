/** API tokens' use cases. A token carries no more than its maker may hand on, is shown once, and outlives its maker's membership. */
import { forbidden, invalidInput } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { ServiceOf } from '../../platform/contract.ts'
import { need } from '../../platform/authorise.ts'
import type { Scope } from '../../kernel/scope.ts'
import { tokenPermissions, type Role } from '../access/contract.ts'
import { tokenLimit, tokenPermissionRefused, type memberMethods } from './contract-members.ts'
import { actingRole, existing } from './reach.ts'
import type { Leave, OperatorGuard } from './service-operator.ts'
import type { MembersRepo } from './repo-members.ts'
import { newApiToken } from './tokens/api-token.ts'

type TokenService = Pick<ServiceOf<typeof memberMethods>, 'createApiToken' | 'operatorCreateApiToken' | 'revokeApiToken'>

/** Live tokens a tenant may have. */
export const mostTokens = 200

type Wanted = Parameters<TokenService['createApiToken']>[1]

export function createTokenService(parts: { repo: MembersRepo; clock: Clock; onlyOperator: OperatorGuard }): TokenService {
  const { repo, clock, onlyOperator } = parts

  const issue = async (scope: Scope, wanted: Wanted, holder: Role, createdBy: string | null, leave: Leave = {}) => {
    const { name, expiresAt } = wanted
    const permissions = [...new Set(wanted.permissions)]
    const allowed = tokenPermissions(holder)
    const beyond = permissions.filter((one) => !allowed.has(one))
    if (beyond.length > 0) throw tokenPermissionRefused({ permissions: beyond })
    const now = new Date(clock.nowMs())
    const expiry = expiresAt === undefined ? null : new Date(expiresAt)
    if (expiry && expiry <= now) throw invalidInput({ issues: [{ path: 'expiresAt', message: 'is over already' }] })
    if ((await repo.countTokens(scope, now)) >= mostTokens) throw tokenLimit()
    const { token, hash } = newApiToken(scope.tenantId)
    const { id } = await repo.addToken(scope, { name, hash, permissions, expiresAt: expiry, createdBy, createdAt: now })
    scope.unit.record({
      action: 'api_token.created',
      resource: 'ApiToken',
      resourceId: id,
      outcome: 'done',
      detail: { permissions, expires: expiry !== null, ...leave },
    })
    return { id, token }
  }

  return {
    async createApiToken(scope, wanted) {
      need(scope, 'token:manage')
      const role = actingRole(scope)
      // A token that makes tokens would outlive its own expiry.
      if (scope.actor.kind !== 'member' || !role) throw forbidden({ permission: 'token:manage' })
      return issue(scope, wanted, role, scope.actor.membershipId)
    },

    async operatorCreateApiToken(scope, wanted) {
      const leave = await onlyOperator(scope)
      return issue(scope, wanted, 'tenant_admin', null, leave)
    },

    async revokeApiToken(scope, { id }) {
      need(scope, 'token:manage')
      existing(await repo.findToken(scope, id))
      const isFirst = await repo.revokeToken(scope, id, new Date(clock.nowMs()))
      const detail = { repeated: !isFirst }
      scope.unit.record({ action: 'api_token.revoked', resource: 'ApiToken', resourceId: id, outcome: 'done', detail })
      return { id }
    },
  }
}
