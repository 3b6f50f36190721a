/** Emergency: a record outside one's reach, opened at once and answered for afterwards. It lets nobody change anything. */
import { sealedAlike } from '../../../platform/envelopes.ts'
import { defineModule } from '../../../platform/module.ts'
import { reviewEscalated } from '../hitl/contract.ts'
import { accessEnded, accessOpened } from './contract.ts'
import { emergencyGraph } from './graph.ts'
import { createNotice } from './notice.ts'
import { createRepo } from './repo.ts'
import { createEmergency } from './service.ts'

export const emergency = defineModule({
  name: 'emergency',
  summary: "A record outside one's reach, opened at once and answered for afterwards. It lets nobody change anything.",
  needs: ['vault', 'identity', 'care', 'hitl'],
  owns: ['BreakGlassGrant'],
  permissions: ['phi:break_glass'],
  events: [accessOpened, accessEnded],
  disclosures: [{ action: 'break_glass.opened', kind: 'EMERGENCY' }, { action: 'break_glass.read', kind: 'EMERGENCY' }],
  envelopes: [{ model: 'BreakGlassGrant', column: 'phi', fields: sealedAlike(['reason'], { permission: 'phi:break_glass', erasedWith: 'recipientId' }) }],
  // What exists and what is live says the database, by its functions and its clock.
  rawSql: true,
  build: ({ db, sql, clock, mail }, { vault, identity, care, hitl }) => {
    const repo = createRepo(db, sql)
    const contract = createEmergency({ repo, care, identity, hitl, vault })
    return { contract, repo, vault, clock, notice: createNotice({ repo, identity, mail }) }
  },
  handles: [
    { event: accessOpened.name, handle: ({ notice }, scope, { payload }) => notice.opened(scope, payload as { grantId: string }) },
    { event: reviewEscalated.name, handle: ({ notice }, scope, { payload }) => notice.overdue(scope, payload as { itemId: string }) },
  ],
  graph: (builder, _refs, made) => emergencyGraph(builder, made),
})
