/** Audit: reads the trail that the platform writes, and proves it. It never writes, changes or deletes a line of it. */
import { createEgress } from '../../platform/http/egress.ts'
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
import { streamFailing } from './stream/contract.ts'
import { streamGraph } from './stream/graph.ts'
import { createStreamRepo } from './stream/repo.ts'
import { createSender } from './stream/sender.ts'
import { createStreams } from './stream/service.ts'

export const audit = defineModule({
  name: 'audit',
  summary: 'Who did what, to which record, from where, and the proof that nobody changed it. It reads the trail that the platform writes.',
  needs: ['vault'],
  owns: ['AuditEvent', 'AuditLink', 'AuditCheckpoint', 'CheckpointKey', 'AuditStream', 'AuditRetired'],
  permissions: ['audit:read', 'audit:export'],
  events: [chainBroken, streamFailing],
  rawSql: true,
  wire: auditMethods,
  build: ({ db, sql, clock, config, disclosures }, { vault }) => {
    const lines = createExportRepo({ sql })
    const egress = createEgress()
    const proof = createProof({ repo: lines, sink: () => openSink(config) })
    const contract: Audit = Object.freeze({ ...createAudit({ repo: createRepo({ sql }), disclosures }), ...proof })
    const streams = createStreams({ repo: createStreamRepo(db), lines, vault, clock })
    const sender = createSender({ repo: lines, vault, egress, clock })
    return { contract, streams, sender, egress, signer: createCheckpointSigner({ repo: createKeyRepo({ db, sql }), vault }) }
  },
  // A chain that was bent is found by the next morning, also where nobody looks.
  jobs: [
    { name: 'verify-chain', cron: '41 2 * * *', inEveryTenant: true, run: async ({ contract }, scope) => void (await contract.verifyChain(scope, {})) },
  ],
  boot: ({ signer }, open) => signer.boot(open),
  release: ({ egress }) => void egress.close(),
  graph: (builder, _refs, { contract, streams }) => {
    exportGraph(builder, contract)
    streamGraph(builder, streams)
    return auditGraph(builder, contract)
  },
})
