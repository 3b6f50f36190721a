/** Audit: reads the trail that the platform writes. It never writes, changes or deletes a line of it. */
import { defineModule } from '../../platform/module.ts'
import { auditMethods } from './contract.ts'
import { auditGraph } from './graph.ts'
import { createRepo } from './repo.ts'
import { createAudit } from './service.ts'

export const audit = defineModule({
  name: 'audit',
  summary: 'Who did what, to which record, from where. It reads the trail that the platform writes, and never changes it.',
  needs: [],
  owns: ['AuditEvent', 'AuditLink', 'AuditCheckpoint', 'CheckpointKey'],
  permissions: ['audit:read'],
  rawSql: true,
  wire: auditMethods,
  build: ({ sql }) => ({ contract: createAudit({ repo: createRepo({ sql }) }) }),
  graph: (builder, _refs, { contract }) => auditGraph(builder, contract),
})
