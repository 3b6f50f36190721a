/** The circle's use cases: parties, the links between them, consents, and the network around a recipient. */
import { invalidInput, notFound, staleVersion } from '../../../kernel/fault.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { newId } from '../../../kernel/id.ts'
import { memberIdOf, type Scope } from '../../../kernel/scope.ts'
import { need } from '../../../platform/authorise.ts'
import type { ServiceOf } from '../../../platform/contract.ts'
import type { CareRecipient, Consent } from '../../../platform/db/generated/client.ts'
import type { Vault } from '../../vault/contract.ts'
import {
  consentChanged,
  defaultDepth,
  edgeEnded,
  edgeEndedAlready,
  edgeLinked,
  maxDepth,
  maxNetworkParties,
  recipientArchived,
  type careMethods,
} from '../contract.ts'
import { reachOf, type CareReach } from '../reach.ts'
import { consentMachine, consentStateAt, linkRefused, refuseLink, settledCapabilities } from '../rules.ts'
import type { CareRepo } from '../repo.ts'
import type { IndexWriter } from '../lookup/index-writer.ts'
import type { CareSeals } from '../sealed.ts'
import type { CircleRepo } from './repo.ts'
import { membersOf } from './rules.ts'

/** What care's use cases are made of. */
export interface CareParts {
  readonly repo: CareRepo
  readonly circle: CircleRepo
  readonly reach: CareReach
  readonly seals: CareSeals
  readonly vault: Vault
  readonly clock: Clock
  readonly writer: IndexWriter
}

type CircleMethods =
  | 'createParty'
  | 'linkParty'
  | 'endLink'
  | 'grantConsent'
  | 'withdrawConsent'
  | 'network'
  | 'partiesOfMember'

type CircleUseCases = Pick<ServiceOf<typeof careMethods>, CircleMethods>

export function circleUseCases({ repo, circle, reach, seals, vault, clock, writer }: CareParts): CircleUseCases {
  const activeRecipient = async (scope: Scope, id: string): Promise<CareRecipient> => {
    const row = await repo.findRecipient(scope, id)
    if (!row) throw notFound()
    if (row.state === 'ARCHIVED') throw recipientArchived()
    return row
  }

  const refusePast = (validTo: Date | undefined): void => {
    if (!validTo || validTo.getTime() > clock.nowMs()) return
    throw invalidInput({ issues: [{ path: 'validTo', message: 'is not in the future' }] })
  }

  const noteConsent = (scope: Scope, action: string, { id, recipientId, state }: Pick<Consent, 'id' | 'recipientId' | 'state'>): void => {
    scope.unit.record({
      action,
      resource: 'Consent',
      resourceId: id,
      subjectId: recipientId,
      outcome: 'done',
      detail: { state },
    })
    if (state !== 'REQUESTED') scope.unit.publish(consentChanged, id, { consentId: id, state })
  }

  return {
    async createParty(scope, { kind, membershipId, ...phi }) {
      need(scope, 'network:manage')
      const staff = reachOf(scope, 'network:manage') === 'T'
      if (membershipId !== undefined && !staff) throw linkRefused({ reason: 'Which member a party is, a care coordinator says.' })
      const id = newId()
      await vault.createSubjects(scope, { subjectIds: [id] })
      await circle.addParty(scope, {
        id,
        kind,
        phi: await seals.seal(scope, 'CareParty', { id, subjectId: id }, phi),
        membershipId: membershipId ?? null,
        createdBy: memberIdOf(scope),
      })
      await writer.write(scope, async () => id, false, phi)
      scope.unit.record({ action: 'party.created', resource: 'CareParty', resourceId: id, outcome: 'done', detail: { kind } })
      return { id }
    },

    async linkParty(scope, { fromPartyId, toPartyId, relation, legalGuardian = false, validFrom, validTo, ...wanted }) {
      need(scope, 'network:manage')
      refusePast(validTo)
      const [from, to] = [await circle.findParty(scope, fromPartyId), await circle.findParty(scope, toPartyId)]
      if (!from || !to) throw notFound()
      const standing = to.recipientId === null ? undefined : await reach.need(scope, 'network:manage', to.recipientId)
      const capabilities = settledCapabilities(wanted.capabilities)
      refuseLink({
        reach: reachOf(scope, 'network:manage'),
        standing,
        fromIsCaller: from.membershipId !== null && from.membershipId === memberIdOf(scope),
        fromKind: from.kind,
        toRecipientId: to.recipientId,
        capabilities,
        legalGuardian,
      })
      if (to.recipientId !== null) await activeRecipient(scope, to.recipientId)
      const made = await circle.addEdge(scope, {
        fromPartyId,
        toPartyId,
        relation,
        capabilities,
        legalGuardian,
        createdBy: memberIdOf(scope),
        ...(validFrom ? { validFrom } : {}),
        ...(validTo ? { validTo } : {}),
      })
      scope.unit.record({
        action: 'edge.linked',
        resource: 'CareEdge',
        resourceId: made.id,
        subjectId: to.recipientId,
        outcome: 'done',
        detail: { capabilities, legalGuardian },
      })
      scope.unit.publish(edgeLinked, made.id, { edgeId: made.id })
      return { id: made.id, validFrom: made.validFrom.toISOString(), validTo: made.validTo?.toISOString() ?? null }
    },

    async endLink(scope, { id }) {
      need(scope, 'network:manage')
      const edge = await circle.findEdge(scope, id)
      if (!edge) throw notFound()
      const { recipientId } = edge.to
      if (recipientId !== null) await reach.need(scope, 'network:manage', recipientId)
      // A link between others than recipients is the staff's, as its making was.
      else if (reachOf(scope, 'network:manage') !== 'T') throw notFound()
      const ended = await circle.endEdge(scope, id)
      if (!ended) throw edgeEndedAlready()
      scope.unit.record({ action: 'edge.ended', resource: 'CareEdge', resourceId: id, subjectId: recipientId, outcome: 'done' })
      scope.unit.publish(edgeEnded, id, { edgeId: id })
      return { id, validFrom: ended.validFrom.toISOString(), validTo: ended.validTo.toISOString() }
    },

    async grantConsent(scope, { recipientId, granteeId, purpose, fieldSet, validTo }) {
      need(scope, 'consent:manage')
      refusePast(validTo)
      const found = await circle.consentParties(scope, recipientId, granteeId)
      if (found.recipientState === null) throw notFound()
      if (found.recipientState === 'ARCHIVED') throw recipientArchived()
      await reach.need(scope, 'consent:manage', recipientId)
      if (found.granteeId === null) throw notFound()
      const state = consentMachine.next(consentMachine.initial, 'grant')
      const made = { id: newId(), recipientId, granteeId, purpose, fieldSet: [...new Set(fieldSet)], state, validTo: validTo ?? null }
      circle.addConsent(scope, made)
      noteConsent(scope, 'consent.granted', made)
      return { id: made.id, state, version: 1 }
    },

    async withdrawConsent(scope, { id }) {
      need(scope, 'consent:manage')
      const consent = await circle.findConsent(scope, id)
      if (!consent) throw notFound()
      await reach.need(scope, 'consent:manage', consent.recipientId)
      const state = consentMachine.next(consentStateAt(consent, clock.nowMs()), 'withdraw')
      const changed = await circle.changeConsent(scope, consent, state)
      if (!changed) throw staleVersion()
      noteConsent(scope, 'consent.withdrawn', changed)
      return { id, state, version: changed.version }
    },

    async network(scope, { recipientId, depth: asked = defaultDepth }) {
      need(scope, 'network:read')
      await reach.need(scope, 'network:read', recipientId)
      const depth = Math.min(asked, maxDepth)
      const hops = await circle.network(scope, recipientId, depth, maxNetworkParties)
      if (hops.length === 0) throw notFound()
      const { members, truncated } = membersOf(hops, maxNetworkParties)
      return { recipientId, depth, truncated: truncated || asked > depth, members }
    },

    async partiesOfMember(scope, { membershipId }) {
      need(scope, 'network:read')
      const rows = await circle.partiesOfMember(scope, membershipId)
      return { parties: rows.map(({ id, kind, recipientId }) => ({ id, kind, recipientId })) }
    },
  }
}
