/** Users' use cases, inside the caller's command or reads. A replaced user keeps its groups; a deleted one leaves its name free. */
import type { AuditEntry } from '../../../kernel/audit-entry.ts'
import { notFound } from '../../../kernel/fault.ts'
import { newId } from '../../../kernel/id.ts'
import type { Scope } from '../../../kernel/scope.ts'
import { alreadyLinked, type Identity } from '../../identity/contract.ts'
import { isUniqueViolation } from '../../../platform/db/errors.ts'
import { needVersion } from './conditions.ts'
import type { AttributeMap, PatchUser, ReadUser, UserColumns } from './engine.ts'
import type { Added, Addition, StoredResource, StoredUser, UsersRepo } from './repo-users.ts'
import { memberId } from './schema/read-group.ts'
import { notUnique } from './schema/faults.ts'
import type { Settle } from './settle.ts'

export interface UserParts {
  readonly users: UsersRepo
  readonly settle: Settle
  readonly identity: Pick<Identity, 'followExternalId'>
  readonly readUser: ReadUser
  readonly patchUser: PatchUser
}

/** Commits one statement with its line of the trail, or neither. */
export type Add = (addition: Addition, entry: AuditEntry) => Promise<Added>

/** What of a request matters beside its body. */
export interface Condition {
  readonly ifMatch: string | undefined
}

const taken = () => notUnique({ detail: 'Another user of this connection has this userName or externalId, an inactive one perhaps.' })

export function createUserService({ users, settle, identity, readUser, patchUser }: UserParts) {
  const held = async (scope: Scope, connectionId: string, id: string, { ifMatch }: Condition): Promise<StoredUser> => {
    const known = memberId(id)
    const user = known && (await users.find(scope, connectionId, known, true))
    if (!user) throw notFound()
    needVersion(ifMatch, user.version)
    return user
  }

  type Detail = Readonly<Record<string, string | boolean | readonly string[]>>
  const entryOf = (connectionId: string, id: string, op: string, detail: Detail): AuditEntry => ({
    action: `scim.user_${op}`,
    resource: 'ScimUser',
    resourceId: id,
    outcome: 'done',
    detail: { connectionId, ...detail },
  })
  const trace = (scope: Scope, connectionId: string, id: string, op: string, detail: Detail = {}) =>
    scope.unit.record(entryOf(connectionId, id, op, detail))

  const store = async (scope: Scope, connectionId: string, user: StoredUser, columns: UserColumns, op: string): Promise<StoredResource> => {
    let stored: StoredResource
    try {
      stored = await users.update(scope, connectionId, user.id, columns)
    } catch (error) {
      throw isUniqueViolation(error) ? taken() : error
    }
    trace(scope, connectionId, user.id, op, { active: columns.active, fields: changedFields(user.attributes, columns.attributes) })
    const { membershipId } = user
    const externalId = columns.externalId
    if (membershipId !== null && externalId !== (user.attributes['externalId'] ?? null)) {
      const source = 'SCIM' as const
      const asDirectory: Scope = { ...scope, actor: { kind: 'directory', source, connectionId } }
      await identity.followExternalId(asDirectory, { source, connectionId, membershipId, externalId }).catch((error: unknown) => {
        throw alreadyLinked.is(error) ? taken() : error
      })
    }
    await settle(scope, connectionId, [user.id])
    return stored
  }

  return {
    /** Somebody new, in no group and so without a role yet. @throws SCIM_UNIQUENESS while the name is there, active or not */
    async create(add: Add, connectionId: string, body: unknown): Promise<StoredResource> {
      const columns = readUser(body)
      const id = newId()
      const entry = entryOf(connectionId, id, 'created', { active: columns.active, fields: Object.keys(columns.attributes) })
      try {
        return { ...(await add(users.adding(connectionId, id, columns), entry)), id, attributes: columns.attributes, version: 1 }
      } catch (error) {
        throw isUniqueViolation(error) ? taken() : error
      }
    },

    /** @throws NOT_FOUND */
    async read(scope: Scope, connectionId: string, id: string): Promise<StoredUser> {
      const known = memberId(id)
      const user = known && (await users.find(scope, connectionId, known, false))
      if (!user) throw notFound()
      return user
    },

    /** The whole user anew; its groups stay. @throws NOT_FOUND, SCIM_PRECONDITION, SCIM_UNIQUENESS, SCIM_* of the body */
    async replace(scope: Scope, connectionId: string, id: string, body: unknown, condition: Condition): Promise<StoredResource> {
      const user = await held(scope, connectionId, id, condition)
      const columns = readUser(body, user.attributes)
      return store(scope, connectionId, user, columns, 'replaced')
    },

    /** A PatchOp message, whole or not at all. @throws as replace */
    async patch(scope: Scope, connectionId: string, id: string, body: unknown, condition: Condition): Promise<StoredResource> {
      const user = await held(scope, connectionId, id, condition)
      const { columns, changed } = patchUser(user.attributes, body)
      if (changed) return store(scope, connectionId, user, columns, 'patched')
      trace(scope, connectionId, user.id, 'unchanged')
      return user
    },

    /** Ends the membership for good and forgets the user. @throws NOT_FOUND, SCIM_PRECONDITION */
    async remove(scope: Scope, connectionId: string, id: string, condition: Condition): Promise<void> {
      const user = await held(scope, connectionId, id, condition)
      await settle(scope, connectionId, [user.id], { end: true })
      await users.remove(scope, connectionId, user.id)
      trace(scope, connectionId, user.id, 'deleted')
    },
  }
}

export type UserService = ReturnType<typeof createUserService>

/** Names of the attributes that differ, for the audit trail. */
function changedFields(before: AttributeMap, after: AttributeMap): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...names].filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name])).slice(0, 50)
}
