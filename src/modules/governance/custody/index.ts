/** Custody: what a tenant decides about its keys and its data as a whole. It reads no record and destroys nothing itself. */
import { defineModule } from '../../../platform/module.ts'
import { streamFailing } from '../../audit/contract.ts'
import { holdLifted, holdPlaced, offboardingAsked, offboardingCancelled } from './contract.ts'
import { custodyGraph } from './graph.ts'
import { createNotice } from './notice.ts'
import { createRepo } from './repo.ts'
import { createCustody } from './service.ts'
import { createStreamNotice } from './stream-notice.ts'

export const custody = defineModule({
  name: 'custody',
  summary: 'What a tenant decides about its keys and its data as a whole: its own key, legal holds, leaving. It reads no record.',
  needs: ['vault', 'identity', 'audit'],
  owns: ['LegalHold', 'Offboarding', 'Backup'],
  permissions: ['tenant:read', 'tenant:update', 'audit:export'],
  events: [holdPlaced, holdLifted, offboardingAsked, offboardingCancelled],
  // What exists and what is due says the database, by its functions and its clock.
  rawSql: true,
  build: ({ db, sql, clock, mail, config }, { vault, identity }) => {
    const repo = createRepo(db, sql)
    const contract = createCustody({ repo, identity, vault, clock, waitHours: config.offboardingWaitHours })
    return { contract, repo, notice: createNotice({ repo, identity, mail }), streamNotice: createStreamNotice({ identity, mail }) }
  },
  handles: [
    {
      event: offboardingAsked.name,
      handle: ({ notice }, scope, { payload }) => notice.asked(scope, payload as { offboardingId: string }),
    },
    {
      event: streamFailing.name,
      handle: ({ streamNotice }, scope, { payload }) => streamNotice.failing(scope, payload as { failures: number }),
    },
  ],
  graph: (builder, refs, made) => custodyGraph(builder, refs.vault, made),
})
