/** A group as a directory sends it whole, and its members as ids of users. */
import type { ReadGroup } from '../engine.ts'
import { groupColumns } from './columns.ts'
import { invalidSyntax, invalidValue, noSuchMember } from './faults.ts'
import { groupAttributes } from './group-schema.ts'
import { canonical, isMap } from './read-value.ts'
import { readResource } from './read-resource.ts'
import { named } from './resource.ts'

/** In one message. The body's own bound comes first; this one keeps lists finite for every caller. */
export const mostMembers = 100_000

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const memberParts = named(groupAttributes, 'members')!.subAttributes!
const part = (name: string) => named(memberParts, name)!

/** An id as the database writes it; null for what can be no id of ours. */
export function memberId(text: string): string | null {
  return uuid.test(text) ? text.toLowerCase() : null
}

/** The `value` of one member, whatever else it carries. @throws invalidValue for a group as member, or without a value. */
function readMember(member: unknown): string {
  if (!isMap(member)) throw invalidValue({ detail: 'A member must be an object with a value.' })
  const given = canonical(memberParts, member)
  const value = given.get(part('value'))
  if (typeof value !== 'string' || value === '') throw invalidValue({ detail: 'A member must have the id of a user as its value.' })
  const type = given.get(part('type')) ?? 'User'
  if (typeof type !== 'string' || type.toLowerCase() !== 'user') throw invalidValue({ detail: 'A member must be a user.' })
  return value
}

/** The values of a list of members, or of one without its list. */
export function readMemberValues(value: unknown): string[] {
  const members: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (members.length > mostMembers) throw invalidValue({ detail: `More than ${mostMembers} members in one message.` })
  return [...new Set(members.map(readMember))]
}

/** Members to be in a group. @throws noSuchMember for what can be no id of ours: it looks as an unknown one does. */
export function readMembers(value: unknown): string[] {
  const ids = readMemberValues(value).map((text) => {
    const id = memberId(text)
    if (id === null) throw noSuchMember()
    return id
  })
  return [...new Set(ids)]
}

export const readGroup: ReadGroup = (body) => {
  const read = readResource('Group', body)
  const given = Object.entries(read.body).filter(([name]) => name.toLowerCase() === 'members')
  if (given.length > 1) throw invalidSyntax({ detail: 'members is given twice.' })
  const members = given[0]?.[1] ?? null
  return { columns: groupColumns(read.stored), members: members === null ? null : readMembers(members) }
}
