/** Tenancy: the organisations that live here. It never sees a person. */
import { defineModule } from '../../platform/module.ts'
import { tenantProvisioned } from './contract.ts'
import { tenancyGraph } from './graph.ts'
import { approvalGraph } from './graph-approval.ts'
import { createRepo } from './repo.ts'
import { createTenancy } from './service.ts'

export const tenancy = defineModule({
  name: 'tenancy',
  summary: 'The organisations that live here and their settings. It never sees a person.',
  needs: [],
  owns: ['Tenant', 'OperatorApproval'],
  permissions: ['tenant:read', 'tenant:update'],
  events: [tenantProvisioned],
  disclosures: [{ action: 'tenant.exported', kind: 'EXPORT' }, { action: 'operator.approved', kind: 'OPERATOR' }],
  build: ({ db, clock }) => {
    const repo = createRepo(db)
    return { contract: createTenancy({ repo, clock }), repo }
  },
  graph: (builder, _refs, made) => {
    approvalGraph(builder, made)
    return tenancyGraph(builder, made.contract)
  },
})
