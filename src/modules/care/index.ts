/** Care: the people who are cared for and those around them. It plans no care and sells nothing. */
import { sealedAlike } from '../../platform/envelopes.ts'
import { defineModule } from '../../platform/module.ts'
import { createCircleRepo } from './circle/repo.ts'
import { createIndexWriter } from './lookup/index-writer.ts'
import { createLookupRepo } from './lookup/repo.ts'
import { disclosureClosed, disclosureOpened } from './contract-disclosure.ts'
import { createDisclosureRepo } from './disclosure/repo.ts'
import { consentChanged, edgeEnded, edgeLinked, phiFields, recipientCreated } from './contract.ts'
import { careGraph } from './graph.ts'
import { createReach } from './reach.ts'
import { createRepo } from './repo.ts'
import { createSeals } from './sealed.ts'
import { createCare } from './service.ts'

export const care = defineModule({
  name: 'care',
  summary: 'The people who are cared for, those around them, and who may do what for whom. It plans no care and sells nothing.',
  needs: ['vault'],
  owns: ['CareRecipient', 'CareParty', 'CareEdge', 'Consent', 'DisclosureGrant', 'BlindIndex', 'LookupField', 'IndexRun'],
  permissions: [
    'recipient:read',
    'recipient:create',
    'recipient:update',
    'recipient:archive',
    'network:read',
    'network:manage',
    'consent:manage',
    'phi:read',
    'phi:write',
  ],
  events: [recipientCreated, edgeLinked, edgeEnded, consentChanged, disclosureOpened, disclosureClosed],
  disclosures: [{ action: 'phi.read', kind: 'READ' }, { action: 'phi.found', kind: 'READ' }, { action: 'disclosure.opened', kind: 'SHARED' }],
  envelopes: [
    { model: 'CareRecipient', column: 'phi', fields: sealedAlike(phiFields, { permission: 'phi:read', erasedWith: 'id' }) },
    { model: 'CareParty', column: 'phi', fields: sealedAlike(['name', 'phone'], { permission: 'phi:read', erasedWith: 'id' }) },
  ],
  // The network is a recursive query, and validity goes by the database's clock.
  rawSql: true,
  build: ({ db, sql, clock }, { vault }) => {
    const repo = createRepo(db, sql)
    const circle = createCircleRepo(db, sql)
    const disclosures = createDisclosureRepo(db, sql)
    const reach = createReach(repo)
    const seals = createSeals({ vault, reach, circle })
    const lookupRepo = createLookupRepo(db, sql)
    const writer = createIndexWriter({ repo: lookupRepo, vault })
    const lookup = { repo: lookupRepo, writer, vault, reach }
    const contract = createCare({ repo, circle, reach, seals, vault, clock, writer, lookup, disclosures })
    return { contract, repo, circle, seals, clock, disclosures }
  },
  graph: (builder, _refs, made) => careGraph(builder, made),
})
