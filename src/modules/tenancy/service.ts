/** Tenancy's use cases. */
import { forbidden, notFound, staleVersion } from '../../kernel/fault.ts'
import type { Scope } from '../../kernel/scope.ts'
import { need } from '../../platform/authorise.ts'
import { checked } from '../../platform/contract.ts'
import type { Tenant } from '../../platform/db/generated/client.ts'
import { isUniqueViolation } from '../../platform/db/errors.ts'
import { slugTaken, tenancyMethods, tenantProvisioned, tenantSettings, type Tenancy, type TenantSettings } from './contract.ts'
import type { TenancyRepo } from './repo.ts'

const shown = (tenant: Tenant): TenantSettings => tenantSettings.parse(tenant)

function onlyOperator(scope: Scope): void {
  if (scope.actor.kind !== 'operator') throw forbidden({ permission: 'operator' })
}

export function createTenancy({ repo }: { repo: TenancyRepo }): Tenancy {
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

    async setSuspended(scope, { suspended }) {
      onlyOperator(scope)
      const { version } = await existing(scope)
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
  })
}
