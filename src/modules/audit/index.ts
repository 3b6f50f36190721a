/** Audit: reads the trail that the platform writes, and proves it. It never writes, changes or deletes a line of it. */
import { openSink } from '../../platform/ledger/open-sink.ts'
import { defineModule } from '../../platform/module.ts'
import { auditMethods, chainBroken, type Audit } from './contract.ts'
import { auditGraph } from './graph.ts'
import { exportGraph } from './graph-export.ts'
import { createRepo } from './repo.ts'
import { createExportRepo } from './repo-export.ts'
import { createKeyRepo } from './repo-keys.ts'
import { createAudit } from './service.ts'
import { createProof } from './service-export.ts'
import { createCheckpointSigner } from './signer.ts'

export const audit = defineModule({
  name: 'audit',
  summary: 'Who did what, to which record, from where, and the proof that nobody changed it. It reads the trail that the platform writes.',
  needs: ['vault'],
  owns: ['AuditEvent', 'AuditLink', 'AuditCheckpoint', 'CheckpointKey'],
  permissions: ['audit:read', 'audit:export'],
  events: [chainBroken],
  rawSql: true,
  wire: auditMethods,
  build: ({ db, sql, config }, { vault }) => {
    const proof = createProof({ repo: createExportRepo({ sql }), sink: () => openSink(config) })
    const contract: Audit = Object.freeze({ ...createAudit({ repo: createRepo({ sql }) }), ...proof })
    return { contract, signer: createCheckpointSigner({ repo: createKeyRepo({ db, sql }), vault }) }
  },
  // A chain that was bent is found by the next morning, also where nobody looks.
  jobs: [
    { name: 'verify-chain', cron: '41 2 * * *', inEveryTenant: true, run: async ({ contract }, scope) => void (await contract.verifyChain(scope, {})) },
  ],
  boot: ({ signer }, open) => signer.boot(open),
  graph: (builder, _refs, { contract }) => {
    exportGraph(builder, contract)
    return auditGraph(builder, contract)
  },
})
