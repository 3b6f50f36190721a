/** Tenancy: the organisations that live here. It never sees a person. */
import { defineModule } from '../../platform/module.ts'
import { tenantProvisioned } from './contract.ts'
import { tenancyGraph } from './graph.ts'
import { createRepo } from './repo.ts'
import { createTenancy } from './service.ts'

export const tenancy = defineModule({
  name: 'tenancy',
  summary: 'The organisations that live here and their settings. It never sees a person.',
  needs: [],
  owns: ['Tenant'],
  permissions: ['tenant:read', 'tenant:update'],
  events: [tenantProvisioned],
  build: ({ db }) => ({ contract: createTenancy({ repo: createRepo(db) }) }),
  graph: (builder, _refs, { contract }) => tenancyGraph(builder, contract),
})
