/** Custody's use cases. Who asks for the tenant to leave and who carries it out are never the same person. */
import { createPublicKey } from 'node:crypto'
import { forbidden, notFound, staleVersion, tooMany, type Fault } from '../../../kernel/fault.ts'
import { newId } from '../../../kernel/id.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { Scope } from '../../../kernel/scope.ts'
import { need } from '../../../platform/authorise.ts'
import { checked } from '../../../platform/contract.ts'
import { isUniqueViolation } from '../../../platform/db/errors.ts'
import { codeRefused, factorNeeded, totpNotEnrolled, type Identity } from '../../identity/contract.ts'
import type { Vault } from '../../vault/contract.ts'
import {
  custodyMethods, exportKeyRefused, holdLifted, holdPlaced, offboardingAsked, offboardingCancelled, offboardingNotAsked, offboardingOpen,
  offboardingView, offboardingWaiting, underLegalHold, type Custody, type OffboardingView,
} from './contract.ts'
import type { CustodyRepo, OffboardingRow } from './repo.ts'
import { eventTo, offboardingMachine } from './rules.ts'

export interface CustodyParts {
  readonly repo: CustodyRepo
  readonly identity: Pick<Identity, 'useFactor'>
  readonly vault: Pick<Vault, 'useOwnKey'>
  readonly clock: Clock
  /** How long whoever asked may still think better of it. */
  readonly waitHours: number
}

const refusals = {
  WRONG: codeRefused,
  LIMIT: () => tooMany({ retryAfterSeconds: 3_600 }),
  NOT_ENROLLED: totpNotEnrolled,
  NO_STEP_UP: factorNeeded,
} as const satisfies Record<string, () => Fault>

const holding = 'audit:export'
const deciding = 'tenant:update'

/** A person of the tenant: a program's token, which may outlive whoever made it, decides nothing here. */
function person(scope: Scope, permission: typeof holding | typeof deciding): string {
  need(scope, permission)
  if (scope.actor.kind !== 'member') throw forbidden({ permission })
  return scope.actor.membershipId
}

const iso = (date: Date | null): string | null => date?.toISOString() ?? null

/** @throws EXPORT_KEY_REFUSED also for a private key, which should not have come here. */
function checkedKey(pem: string): string {
  try {
    const key = pem.includes('PRIVATE KEY') ? null : createPublicKey(pem)
    if (key?.asymmetricKeyType === 'x25519') return key.export({ type: 'spki', format: 'pem' }) as string
  } catch {
    // Said below: what was wrong with it is in the input, which is not repeated.
  }
  throw exportKeyRefused()
}

export function createCustody({ repo, identity, vault, clock, waitHours }: CustodyParts): Custody {
  /** Runs `work` where the second factor was taken; a refusal commits, so that the try stays counted. */
  const withFactor = async <T>(scope: Scope, code: string | undefined, what: string, work: (inside: Scope) => Promise<T>): Promise<T> => {
    const ending = await repo.inAuthCommand(scope, async (inside) => {
      const { outcome } = await identity.useFactor(inside, code === undefined ? {} : { code })
      inside.unit.record({
        action: 'factor.asked',
        resource: 'Tenant',
        resourceId: inside.tenantId,
        outcome: outcome === 'PROVEN' ? 'done' : 'denied',
        detail: { for: what, result: outcome },
      })
      return outcome === 'PROVEN' ? { made: await work(inside) } : { fault: refusals[outcome]() }
    })
    if ('fault' in ending) throw ending.fault
    return ending.made
  }

  const view = async (scope: Scope, row: OffboardingRow): Promise<OffboardingView> =>
    offboardingView.parse({
      ...row,
      askedAt: iso(row.askedAt),
      dueAt: iso(row.dueAt),
      closedAt: iso(row.closedAt),
      isDue: await repo.isDue(scope, row.dueAt),
      isHeld: await repo.isHeld(scope),
    })

  /** The one that is not over. */
  const open = async (scope: Scope): Promise<OffboardingRow> => {
    const row = await repo.offboarding(scope)
    if (!row || row.state === 'CANCELLED') throw offboardingNotAsked()
    return row
  }

  const note = (scope: Scope, action: string, id: string, detail: Record<string, string | number> = {}): void =>
    scope.unit.record({ action: `offboarding.${action}`, resource: 'Offboarding', resourceId: id, outcome: 'done', detail })

  return checked(custodyMethods, {
    async placeHold(scope, { recipientId, basis, reference }) {
      const placedBy = person(scope, holding)
      if (recipientId !== null && !(await repo.recipientExists(scope, recipientId))) throw notFound()
      const { id } = await repo.addHold(scope, { id: newId(), recipientId, basis, reference, placedBy })
      const subject = recipientId === null ? {} : { subjectId: recipientId }
      scope.unit.record({ action: 'legal_hold.placed', resource: 'LegalHold', resourceId: id, ...subject, outcome: 'done', detail: { basis } })
      scope.unit.publish(holdPlaced, id, { holdId: id })
      return { id }
    },

    async liftHold(scope, { id }) {
      const liftedBy = person(scope, holding)
      const hold = await repo.findHold(scope, id)
      if (!hold) throw notFound()
      const isFirst = await repo.liftHold(scope, id, liftedBy, new Date(clock.nowMs()))
      const subject = hold.recipientId === null ? {} : { subjectId: hold.recipientId }
      const detail = { repeated: !isFirst }
      scope.unit.record({ action: 'legal_hold.lifted', resource: 'LegalHold', resourceId: id, ...subject, outcome: 'done', detail })
      if (isFirst) scope.unit.publish(holdLifted, id, { holdId: id })
      return { id }
    },

    async askOffboarding(scope, { reason, exportKey, code }) {
      const askedBy = person(scope, deciding)
      const key = checkedKey(exportKey)
      const id = newId()
      const ask = async (inside: Scope) => {
        const dueAt = await repo.addOffboarding(inside, { id, reason, exportKey: key, askedBy, waitHours })
        note(inside, 'asked', id, { waitHours })
        inside.unit.publish(offboardingAsked, id, { offboardingId: id })
        return { id, dueAt: dueAt.toISOString() }
      }
      return withFactor(scope, code, 'offboarding', ask).catch((error: unknown) => {
        throw isUniqueViolation(error) ? offboardingOpen() : error
      })
    },

    async cancelOffboarding(scope) {
      const isOperator = scope.actor.kind === 'operator'
      const endedBy = isOperator ? `operator ${(scope.actor as { name: string }).name}` : person(scope, deciding)
      const row = await open(scope)
      const state = offboardingMachine.next(row.state, 'cancel')
      if (!(await repo.move(scope, row, { state, endedBy, endedAt: new Date(clock.nowMs()) }))) throw staleVersion()
      note(scope, 'cancelled', row.id)
      scope.unit.publish(offboardingCancelled, row.id, { offboardingId: row.id })
      return { id: row.id }
    },

    async offboarding(scope) {
      if (scope.actor.kind !== 'operator') need(scope, 'tenant:read')
      const row = await repo.offboarding(scope)
      return { offboarding: row && (await view(scope, row)) }
    },

    async advanceOffboarding(scope, { to, facts, certificate }) {
      if (scope.actor.kind !== 'operator') throw forbidden({ permission: 'operator' })
      const row = await open(scope)
      const state = offboardingMachine.next(row.state, eventTo[to])
      const isHeld = await repo.isHeld(scope)
      if (isHeld && (to === 'CLOSED' || to === 'EXPORTED' || to === 'SHREDDING')) throw underLegalHold()
      if (to === 'CLOSED' && !(await repo.isDue(scope, row.dueAt))) throw offboardingWaiting({ dueAt: row.dueAt.toISOString() })
      const by = `operator ${scope.actor.name}`
      const at = new Date(clock.nowMs())
      const moved = await repo.move(scope, row, {
        state,
        facts: { ...(row.facts as object), ...facts },
        ...(to === 'CLOSED' ? { closedBy: by, closedAt: at } : {}),
        ...(to === 'DONE' ? { endedBy: by, endedAt: at } : {}),
        ...(certificate === undefined ? {} : { certificate }),
      })
      if (!moved) throw staleVersion()
      note(scope, to.toLowerCase(), row.id, { certificateId: row.id })
      return view(scope, (await repo.offboarding(scope))!)
    },

    async useOwnKey(scope, { keyId, code }) {
      person(scope, deciding)
      await withFactor(scope, code, 'own key', async () => undefined)
      return repo.inWorkerCommand(scope, (inside) => vault.useOwnKey(inside, { keyId }))
    },
  })
}
