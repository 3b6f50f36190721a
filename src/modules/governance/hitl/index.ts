/** Hitl: the one queue of everything that a person has to judge. It judges nothing itself and carries nothing out. */
import { sealedAlike } from '../../../platform/envelopes.ts'
import { defineModule } from '../../../platform/module.ts'
import { hitlMethods, reviewDecided, reviewEscalated, reviewOpened } from './contract.ts'
import { hitlGraph } from './graph.ts'
import { createRepo } from './repo.ts'
import { createHitl } from './service.ts'

export const hitl = defineModule({
  name: 'hitl',
  summary: 'The one queue of everything that a person has to judge. It judges nothing itself and carries nothing out.',
  needs: ['vault'],
  owns: ['ReviewItem', 'ReviewDecision'],
  permissions: ['review:read', 'review:decide'],
  events: [reviewOpened, reviewDecided, reviewEscalated],
  envelopes: [{ model: 'ReviewDecision', column: 'phi', fields: sealedAlike(['comment', 'edits'], { permission: 'review:read', erasedWith: 'item.recipientId' }) }],
  wire: hitlMethods,
  build: ({ db, clock }, { vault }) => {
    const repo = createRepo(db)
    const { keepTime, ...contract } = createHitl({ repo, vault, clock })
    return { contract, repo, vault, clock, keepTime }
  },
  jobs: [{ name: 'keep-time', cron: '*/5 * * * *', inEveryTenant: true, run: ({ keepTime }, scope) => keepTime(scope) }],
  graph: (builder, _refs, made) => hitlGraph(builder, made),
})
