/** Tenancy's use cases. */
import type { Clock } from '../../kernel/clock.ts'
import { forbidden, notFound, staleVersion } from '../../kernel/fault.ts'
import type { Scope } from '../../kernel/scope.ts'
import { need } from '../../platform/authorise.ts'
import { checked } from '../../platform/contract.ts'
import type { Tenant } from '../../platform/db/generated/client.ts'
import { isUniqueViolation } from '../../platform/db/errors.ts'
import { approvalShape, slugTaken, tenantLeft, tenancyMethods, tenantProvisioned, tenantSettings, type Tenancy, type TenantSettings } from './contract.ts'
import type { TenancyRepo } from './repo.ts'

const shown = (tenant: Tenant): TenantSettings => tenantSettings.parse(tenant)

function onlyOperator(scope: Scope): void {
  if (scope.actor.kind !== 'operator') throw forbidden({ permission: 'operator' })
}

/** The membership behind the call: a program's token, which may outlive whoever made it, approves of nothing. */
function administrator(scope: Scope): string {
  need(scope, 'tenant:update')
  if (scope.actor.kind !== 'member') throw forbidden({ permission: 'tenant:update' })
  return scope.actor.membershipId
}

const hourMs = 3_600_000

export function createTenancy({ repo, clock }: { repo: TenancyRepo; clock: Clock }): Tenancy {
  const existing = async (scope: Scope): Promise<Tenant> => {
    const tenant = await repo.find(scope)
    if (!tenant) throw notFound()
    return tenant
  }

  return checked(tenancyMethods, {
    async settings(scope) {
      need(scope, 'tenant:read')
      return shown(await existing(scope))
    },

    async front(scope) {
      return shown(await existing(scope))
    },

    async update(scope, { version, ...changes }) {
      need(scope, 'tenant:update')
      await existing(scope)
      const changed = await repo.update(scope, version, changes)
      if (!changed) throw staleVersion()
      scope.unit.record({
        action: 'tenant.updated',
        resource: 'Tenant',
        resourceId: scope.tenantId,
        outcome: 'done',
        detail: { fields: Object.keys(changes) },
      })
      return shown(changed)
    },

    async provision(scope, input) {
      onlyOperator(scope)
      let made: Tenant
      try {
        made = await repo.create(scope, input)
      } catch (error) {
        if (isUniqueViolation(error)) throw slugTaken({ slug: input.slug })
        throw error
      }
      scope.unit.record({ action: 'tenant.provisioned', resource: 'Tenant', resourceId: scope.tenantId, outcome: 'done' })
      scope.unit.publish(tenantProvisioned, scope.tenantId, { tenantId: scope.tenantId })
      return shown(made)
    },

    async approveOperator(scope, { reason, hours }) {
      const grantedBy = administrator(scope)
      const nowMs = clock.nowMs()
      const expiresAt = new Date(nowMs + hours * hourMs)
      const { id } = await repo.addApproval(scope, { reason, grantedBy, grantedAt: new Date(nowMs), expiresAt })
      // It concerns everybody of the tenant: whoever accounts for one record finds it.
      const about = { resource: 'OperatorApproval', resourceId: id, subjectId: scope.tenantId } as const
      scope.unit.record({ action: 'operator.approved', ...about, outcome: 'done', detail: { hours } })
      return { id }
    },

    async withdrawOperatorApproval(scope, { id }) {
      const withdrawnBy = administrator(scope)
      if (!(await repo.findApproval(scope, id))) throw notFound()
      const isFirst = await repo.withdrawApproval(scope, id, { withdrawnBy, withdrawnAt: new Date(clock.nowMs()) })
      const detail = { repeated: !isFirst }
      scope.unit.record({ action: 'operator.approval_withdrawn', resource: 'OperatorApproval', resourceId: id, outcome: 'done', detail })
      return { id }
    },

    async operatorApproval(scope) {
      onlyOperator(scope)
      const found = await repo.approvalInForce(scope, new Date(clock.nowMs()))
      return { approval: found && approvalShape.parse({ ...found, expiresAt: found.expiresAt.toISOString() }) }
    },

    async setSuspended(scope, { suspended }) {
      onlyOperator(scope)
      const { version, status } = await existing(scope)
      if (status === 'LEFT') throw tenantLeft()
      const changed = await repo.update(scope, version, { status: suspended ? 'SUSPENDED' : 'ACTIVE' })
      if (!changed) throw staleVersion()
      scope.unit.record({
        action: suspended ? 'tenant.suspended' : 'tenant.resumed',
        resource: 'Tenant',
        resourceId: scope.tenantId,
        outcome: 'done',
      })
      return shown(changed)
    },

    async leave(scope) {
      onlyOperator(scope)
      const tenant = await existing(scope)
      const changed = tenant.status === 'LEFT' ? tenant : await repo.update(scope, tenant.version, { status: 'LEFT' })
      if (!changed) throw staleVersion()
      scope.unit.record({ action: 'tenant.left', resource: 'Tenant', resourceId: scope.tenantId, outcome: 'done' })
      return shown(changed)
    },
  })
}
