/**
 * Groups' use cases, inside the caller's command or reads. One lock order: the group's row, then people by id. Members change in sets and
 * are not loaded, except where a group that means a role is renamed or deleted: then all of them are settled.
 */
import { notFound } from '../../../kernel/fault.ts'
import { newId } from '../../../kernel/id.ts'
import type { Scope } from '../../../kernel/scope.ts'
import { needVersion } from './conditions.ts'
import type { AttributeMap, GroupColumns, MemberStep, PatchGroup, ReadGroup } from './engine.ts'
import type { GroupsRepo } from './repo-groups.ts'
import type { StoredResource } from './repo-users.ts'
import { noSuchMember } from './schema/faults.ts'
import { foldText } from './schema/fold.ts'
import { memberId } from './schema/read-group.ts'
import type { Condition } from './service-users.ts'
import type { Settle } from './settle.ts'

export interface GroupParts {
  readonly groups: GroupsRepo
  readonly settle: Settle
  readonly readGroup: ReadGroup
  readonly patchGroup: PatchGroup
}

const textOf = (value: unknown): string[] => (typeof value === 'string' ? [value] : [])

export function createGroupService({ groups, settle, readGroup, patchGroup }: GroupParts) {
  const held = async (scope: Scope, connectionId: string, id: string, { ifMatch }: Condition): Promise<StoredResource> => {
    const known = memberId(id)
    const group = known && (await groups.find(scope, connectionId, known, true))
    if (!group) throw notFound()
    needVersion(ifMatch, group.version)
    return group
  }

  /** Whether rules look at a group, as it was or as it is now. */
  const hasMeaning = (scope: Scope, connectionId: string, ...states: AttributeMap[]): Promise<boolean> =>
    groups.hasMeaning(scope, connectionId, {
      names: states.flatMap(({ displayName }) => textOf(displayName).map(foldText)),
      externalIds: states.flatMap(({ externalId }) => textOf(externalId)),
    })

  const add = async (scope: Scope, connectionId: string, groupId: string, userIds: readonly string[]): Promise<string[]> => {
    const added = await groups.addMembers(scope, connectionId, groupId, userIds)
    if (!added) throw noSuchMember()
    return added
  }

  /** Does the steps in order; answers everybody whose membership of the group changed on the way. */
  const walk = async (scope: Scope, connectionId: string, groupId: string, steps: readonly MemberStep[]): Promise<string[]> => {
    const touched: string[] = []
    for (const step of steps) {
      if (step.do === 'removeWhere') touched.push(...(await groups.removeWhere(scope, groupId, step.where)))
      if (step.do === 'remove') touched.push(...(await groups.removeMembers(scope, groupId, step.userIds)))
      if (step.do === 'set') touched.push(...(await groups.removeOthers(scope, groupId, step.userIds)))
      if (step.do === 'add' || step.do === 'set') touched.push(...(await add(scope, connectionId, groupId, step.userIds)))
    }
    return touched
  }

  const trace = (scope: Scope, connectionId: string, id: string, op: string, members: number): void =>
    scope.unit.record({
      action: `scim.group_${op}`,
      resource: 'ScimGroup',
      resourceId: id,
      outcome: 'done',
      detail: { connectionId, members },
    })

  const store = async (
    scope: Scope,
    connectionId: string,
    group: StoredResource,
    { columns, steps, op }: { columns: GroupColumns; steps: readonly MemberStep[]; op: string },
  ): Promise<StoredResource> => {
    const touched = await walk(scope, connectionId, group.id, steps)
    const stored = await groups.update(scope, connectionId, group.id, columns)
    trace(scope, connectionId, group.id, op, touched.length)
    const { displayName, externalId } = group.attributes
    const isRenamed = displayName !== columns.displayName || externalId !== columns.attributes['externalId']
    if (await hasMeaning(scope, connectionId, group.attributes, columns.attributes)) {
      const people = isRenamed ? [...touched, ...(await groups.memberIds(scope, group.id))] : touched
      await settle(scope, connectionId, people)
    }
    return stored
  }

  return {
    /** @throws SCIM_NO_SUCH_MEMBER, SCIM_* of the body */
    async create(scope: Scope, connectionId: string, body: unknown): Promise<StoredResource> {
      const { columns, members } = readGroup(body)
      const id = newId()
      const stored = await groups.add(scope, connectionId, id, columns)
      const added = await add(scope, connectionId, id, members ?? [])
      trace(scope, connectionId, id, 'created', added.length)
      if (added.length > 0 && (await hasMeaning(scope, connectionId, columns.attributes))) await settle(scope, connectionId, added)
      return stored
    },

    /** @throws NOT_FOUND */
    async read(scope: Scope, connectionId: string, id: string): Promise<StoredResource> {
      const known = memberId(id)
      const group = known && (await groups.find(scope, connectionId, known, false))
      if (!group) throw notFound()
      return group
    },

    /** The whole group anew; without `members` its members stay. @throws NOT_FOUND, SCIM_PRECONDITION, SCIM_NO_SUCH_MEMBER */
    async replace(scope: Scope, connectionId: string, id: string, body: unknown, condition: Condition): Promise<StoredResource> {
      const group = await held(scope, connectionId, id, condition)
      const { columns, members } = readGroup(body)
      return store(scope, connectionId, group, { columns, steps: members ? [{ do: 'set', userIds: members }] : [], op: 'replaced' })
    },

    /** A PatchOp message, whole or not at all. @throws as replace */
    async patch(scope: Scope, connectionId: string, id: string, body: unknown, condition: Condition): Promise<StoredResource> {
      const group = await held(scope, connectionId, id, condition)
      const { columns, changed, members } = patchGroup(group.attributes, body)
      if (changed || members.length > 0) return store(scope, connectionId, group, { columns, steps: members, op: 'patched' })
      trace(scope, connectionId, group.id, 'unchanged', 0)
      return group
    },

    /** @throws NOT_FOUND, SCIM_PRECONDITION */
    async remove(scope: Scope, connectionId: string, id: string, condition: Condition): Promise<void> {
      const group = await held(scope, connectionId, id, condition)
      const people = (await hasMeaning(scope, connectionId, group.attributes)) ? await groups.memberIds(scope, group.id) : []
      await groups.remove(scope, connectionId, group.id)
      trace(scope, connectionId, group.id, 'deleted', people.length)
      await settle(scope, connectionId, people)
    },
  }
}

export type GroupService = ReturnType<typeof createGroupService>
