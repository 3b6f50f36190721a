/**
 * A change of thousands (a large group renamed, emptied or deleted; new rules). In the change's own transaction everybody whose role is not
 * what the rules say now loses access, with a receipt each: a few statements for any number. Who has a role to get, or another one, waits
 * on a list that a job works off in steps, each a command of its own: cut off anywhere, it goes on where it stood (decision 0011).
 */
import { newId } from '../../../kernel/id.ts'
import type { Scope } from '../../../kernel/scope.ts'
import { directoryLogin } from '../../../platform/db/logins.ts'
import type { Unit } from '../../../platform/db/unit.ts'
import type { directoryRoles, Identity } from '../../identity/contract.ts'
import type { Unsettled, UnsettledRepo } from './repo-unsettled.ts'
import type { Settle } from './settle.ts'

export interface LargeParts {
  readonly unsettled: UnsettledRepo
  readonly identity: Pick<Identity, 'cutAtOnce' | 'tellCut'>
}

/** More people than this are cut at once and settled afterwards. */
export const mostSettledAtOnce = 500
/** People of one step. */
const stepPeople = 500

type DirectoryRole = (typeof directoryRoles)[number]
const source = 'SCIM' as const
const asDirectory = (scope: Scope, connectionId: string): Scope => ({ ...scope, actor: { kind: 'directory', source, connectionId } })

export function createSettleLarge({ unsettled, identity }: LargeParts) {
  return {
    /** Cuts whoever is to be cut and puts everybody on the list. Answers how many were cut. */
    async cut(scope: Scope, connectionId: string, userIds: readonly string[], hasRules: boolean): Promise<number> {
      unsettled.takeTime(scope)
      const touched = await unsettled.touched(scope, connectionId, userIds)
      const byMembership = new Map(
        // Without any rule, roles are not this directory's: who is active is left alone, as with a small change.
        touched.flatMap((one) => (one.membershipId !== null && (hasRules || !one.active) ? [[one.membershipId, one] as const] : [])),
      )
      const people = [...byMembership].map(([membershipId, { active, role }]) => ({
        membershipId,
        role: active ? (role as DirectoryRole | null) : null,
      }))
      const { at, cuts } = await identity.cutAtOnce(asDirectory(scope, connectionId), { source, connectionId, people })
      const { requestId } = scope
      const receipts = cuts.map((one) => {
        const { id: userId, userName, active, role } = byMembership.get(one.membershipId)!
        const cause = !active ? 'DEACTIVATED' : role === null ? 'ROLE_LOST' : 'ROLE_CHANGED'
        return { ...one, id: newId(), userId, userName, cause, requestId }
      })
      await unsettled.addReceipts(scope, connectionId, receipts)
      const gone = new Set(cuts.map(({ membershipId }) => membershipId))
      const steps: Unsettled[] = []
      for (let from = 0; from < touched.length; from += stepPeople) {
        const some = touched.slice(from, from + stepPeople)
        const membershipIds = some.flatMap(({ membershipId }) => (membershipId !== null && gone.has(membershipId) ? [membershipId] : []))
        steps.push({ id: newId(), connectionId, at, userIds: some.map(({ id }) => id), membershipIds })
      }
      await unsettled.add(scope, steps)
      const detail = { connectionId, people: touched.length, cut: cuts.length }
      scope.unit.record({ action: 'scim.large_change', resource: 'ScimConnection', resourceId: connectionId, outcome: 'done', detail })
      return cuts.length
    },

    /** Works the list of one tenant off, a command a step. What commits in one stays when the run is cut off. */
    async workOff(settle: Settle, open: () => Unit): Promise<void> {
      for (;;) {
        const looking = open()
        const step = await looking.read(() => unsettled.next(looking.scope))
        if (!step) return
        const { id, connectionId, at, userIds, membershipIds } = step
        await open().command(async (scope) => {
          const detail = { connectionId, people: userIds.length }
          scope.unit.record({ action: 'scim.people_settled', resource: 'ScimConnection', resourceId: connectionId, outcome: 'done', detail })
          if (!(await unsettled.take(scope, id))) return
          const here = asDirectory(scope, connectionId)
          if (membershipIds.length > 0) await identity.tellCut(here, { source, connectionId, at, membershipIds: [...membershipIds] })
          await settle(scope, connectionId, userIds)
        }, directoryLogin)
      }
    },
  }
}

export type SettleLarge = ReturnType<typeof createSettleLarge>
