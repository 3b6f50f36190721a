/**
 * What a directory does to members. It settles people in sets: read and lock, decide, then one statement for each kind of change. It never
 * refuses to cut, and it never lifts what somebody else decided.
 */
import { forbidden, notFound } from '../../kernel/fault.ts'
import type { Scope } from '../../kernel/scope.ts'
import { need } from '../../platform/authorise.ts'
import { checked, type ServiceOf } from '../../platform/contract.ts'
import { isUniqueViolation } from '../../platform/db/errors.ts'
import type { Role } from '../access/contract.ts'
import { alreadyMember, memberEnded } from './contract-members.ts'
import {
  alreadyLinked,
  directoryMethods,
  directoryRoleRefused,
  linkShape,
  notLinkable,
  privilegedRoles,
  secondFactorNeeded,
  type Cut,
  type Directory,
  type Settled,
} from './contract-directory.ts'
import { createDirectoryMoves, type DirectoryParts, type Here } from './directory-moves.ts'
import type { LinkedMember } from './repo-directory.ts'
import type { OperatorGuard } from './service-operator.ts'

type Methods = ServiceOf<typeof directoryMethods>
type Settling = Parameters<Methods['settleMembers']>[1]
type Wanted = Settling['people'][number]
const planesOfDirectories: readonly string[] = ['console', 'clinician', 'courier']

export function createDirectory(parts: DirectoryParts & { onlyOperator: OperatorGuard }): Directory {
  const { directory: repo, members } = parts
  const { trace, shutOut, cutMany, tell, provision, assign, letIn } = createDirectoryMoves(parts)

  const onlyItself = (scope: Scope, { connectionId, source }: Here): void => {
    const { actor } = scope
    if (actor.kind !== 'directory' || actor.connectionId !== connectionId || actor.source !== source) {
      throw forbidden({ permission: 'directory' })
    }
  }

  const mayBecome = ({ role, authorisedBy }: { role: Role | null; authorisedBy: string | null }): void => {
    if (role && privilegedRoles.includes(role) && authorisedBy === null) throw directoryRoleRefused({ role })
  }

  const settle = async (scope: Scope, { people, ...here }: Settling): Promise<Settled[]> => {
    onlyItself(scope, here)
    for (const one of people) mayBecome(one)
    const wantedIds = people.flatMap(({ membershipId }) => membershipId ?? [])
    // Administrators first, all of them in id order: two directories that move one each must not wait for each other.
    if (wantedIds.length > 0 && (await repo.anyAdmin(scope, wantedIds))) await members.lockActiveAdmins(scope)
    const held = new Map((await repo.holdLinked(scope, here.connectionId, wantedIds)).map((one) => [one.membershipId, one]))
    if (wantedIds.some((id) => !held.has(id))) throw notFound()
    const answers = new Map<string, Settled>()
    const answer = (key: string, membershipId: string | null, outcome: Settled['outcome'], cut: Cut | null = null) =>
      answers.set(key, { key, membershipId, outcome, cut })

    const of = (wanted: Wanted) => held.get(wanted.membershipId!)!
    const cutting = people.filter((one) => one.membershipId !== null && (one.role === null || one.end))
    for (const [to, outcome] of [['ENDED', 'ENDED'], ['SUSPENDED', 'CUT']] as const) {
      const some = cutting.filter(({ end }) => end === (to === 'ENDED'))
      const cuts = await shutOut(scope, here, some.map(of), to)
      for (const { key, membershipId } of some) {
        const isMove = of({ membershipId } as Wanted).status !== to
        answer(key, membershipId, isMove ? outcome : 'UNCHANGED', cuts.get(membershipId!) ?? null)
      }
    }

    const staying = people.filter((one) => one.role !== null && !one.end)
    for (const role of new Set(staying.map((one) => one.role!))) {
      const some = staying.filter((one) => one.role === role)
      const newcomers = some.filter(({ membershipId }) => membershipId === null)
      if (newcomers.length > 0) {
        const made = await provision(scope, here, newcomers, role)
        for (const { wanted, membershipId } of made) answer(wanted.key, membershipId, 'PROVISIONED')
      }
      const known = some.filter(({ membershipId }) => membershipId !== null)
      const isIn = (one: LinkedMember) => one.status === 'ACTIVE' || (one.status === 'SUSPENDED' && one.cutAt !== null)
      for (const one of known) if (!isIn(of(one))) answer(one.key, one.membershipId, 'SHUT_OUT')
      const present = known.filter((one) => isIn(of(one)))
      const moving = present.filter((one) => of(one).role !== role)
      const { cuts, refused } = moving.length > 0 ? await assign(scope, here, moving.map(of), role) : nothingAssigned
      const returning = present.filter((one) => of(one).status === 'SUSPENDED' && !refused.has(one.membershipId!))
      await letIn(scope, here, returning.map((one) => ({ ...of(one), role })))
      for (const one of present) {
        const id = one.membershipId!
        const change = of(one).role === role ? 'UNCHANGED' : 'ROLE_CHANGED'
        const outcome = of(one).status === 'SUSPENDED' ? 'REINSTATED' : change
        answer(one.key, id, refused.has(id) ? 'HELD' : outcome, cuts.get(id) ?? null)
      }
    }
    const unanswered = (role: Role | null) => ({ membershipId: null, outcome: role ? 'HELD' : 'UNCHANGED', cut: null }) as const
    return people.map(({ key, role }) => answers.get(key) ?? { key, ...unanswered(role) })
  }

  /** One person through `settle`; what it could not do is an error here. */
  const settleOne = async (scope: Scope, here: Here, one: Partial<Wanted>): Promise<Settled> => {
    // The address of a member who is there is never written.
    const nothing = { externalId: null, email: 'nobody@example.invalid', authorisedBy: null, role: null, end: false, membershipId: null }
    const wanted = { key: 'one', ...nothing, ...one }
    const [settled] = await settle(scope, { ...here, people: [wanted] })
    if (settled!.outcome === 'HELD') throw alreadyMember()
    if (settled!.outcome === 'SHUT_OUT') throw memberEnded()
    return settled!
  }

  const noCut = (membershipId: string): Cut => ({ membershipId, sessions: 0, invitations: 0, flaggedTokens: 0, wasLastAdmin: false })

  return checked(directoryMethods, {
    settleMembers: (scope, input) =>
      settle(scope, input).catch((error: unknown) => {
        throw isUniqueViolation(error) ? alreadyLinked() : error
      }),

    async cutAtOnce(scope, { people, ...here }) {
      onlyItself(scope, here)
      return cutMany(scope, here, new Map(people.map(({ membershipId, role }) => [membershipId, role])))
    },

    async tellCut(scope, { at, membershipIds, ...here }) {
      onlyItself(scope, here)
      await tell(scope, here, membershipIds, at)
      return { told: membershipIds.length }
    },

    async provisionMember(scope, { source, connectionId, ...wanted }) {
      const here = { source, connectionId }
      onlyItself(scope, here)
      mayBecome(wanted)
      try {
        const [made] = await provision(scope, here, [{ key: 'one', membershipId: null, end: false, ...wanted }], wanted.role)
        // What single sign-on says of an address is no proof that its owner is the person here who has it: a relative, say, with a password.
        if (!made || (source === 'SAML' && !made.isNewAccount)) throw alreadyMember()
        return { membershipId: made.membershipId, identityId: made.identityId, isNewAccount: made.isNewAccount }
      } catch (error) {
        throw isUniqueViolation(error) ? alreadyLinked() : error
      }
    },

    async changeRole(scope, { source, connectionId, ...wanted }) {
      onlyItself(scope, { source, connectionId })
      const [held] = await repo.holdLinked(scope, connectionId, [wanted.membershipId])
      if (held && held.status !== 'ACTIVE') throw memberEnded()
      const { cut } = await settleOne(scope, { source, connectionId }, wanted)
      return { cut }
    },

    async end(scope, { source, connectionId, membershipId }) {
      return (await settleOne(scope, { source, connectionId }, { membershipId, end: true })).cut ?? noCut(membershipId)
    },

    async cut(scope, { source, connectionId, membershipId }) {
      return (await settleOne(scope, { source, connectionId }, { membershipId })).cut ?? noCut(membershipId)
    },

    async reinstate(scope, { source, connectionId, ...wanted }) {
      await settleOne(scope, { source, connectionId }, wanted)
      return { membershipId: wanted.membershipId }
    },

    async followExternalId(scope, { membershipId, externalId, ...here }) {
      onlyItself(scope, here)
      try {
        const changed = await repo.setExternalId(scope, here.connectionId, membershipId, externalId)
        if (changed) trace(scope, here, membershipId, 'renamed')
        return { changed }
      } catch (error) {
        throw isUniqueViolation(error) ? alreadyLinked() : error
      }
    },

    async findLink(scope, { connectionId, externalId, membershipId }) {
      const by = { ...(externalId === undefined ? {} : { externalId }), ...(membershipId === undefined ? {} : { membershipId }) }
      const found = await repo.findLink(scope, connectionId, by)
      return found && linkShape.parse(found)
    },

    async findLinks(scope, { connectionId, membershipIds }) {
      if (membershipIds.length === 0) return []
      return (await repo.linksOf(scope, connectionId, membershipIds)).map((one) => linkShape.parse(one))
    },

    async proveOperator(scope) {
      await parts.onlyOperator(scope)
      return {}
    },

    async linkMember(scope, { source, connectionId, membershipId, externalId }) {
      need(scope, 'sso:manage')
      const member = await repo.membership(scope, membershipId)
      if (!member) throw notFound()
      if (!planesOfDirectories.includes(member.plane) || member.status === 'ENDED') throw notLinkable()
      try {
        await repo.addLinks(scope, [{ source, connectionId, membershipId, externalId, origin: 'LINKED' }])
      } catch (error) {
        throw isUniqueViolation(error) ? alreadyLinked() : error
      }
      trace(scope, { source, connectionId }, membershipId, 'linked')
      return linkShape.parse(await repo.findLink(scope, connectionId, { membershipId }))
    },

    async proveAdministrator(scope) {
      const { actor } = scope
      if (actor.kind !== 'member' || actor.role !== 'tenant_admin') throw secondFactorNeeded()
      if (!(await repo.beganWithSecondFactor(scope, actor.sessionId, actor.identityId))) throw secondFactorNeeded()
      return { membershipId: actor.membershipId }
    },
  })
}

const nothingAssigned = { cuts: new Map<string, Cut>(), refused: new Set<string>() }
