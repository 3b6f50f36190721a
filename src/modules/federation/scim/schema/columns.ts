/** The columns that follow from a stored resource. What a resource must have is checked here, whoever changed it. */
import type { AttributeMap, AttributeValue, GroupColumns, IndexedValue, UserColumns } from '../engine.ts'
import { invalidValue } from './faults.ts'
import { foldText, searchable } from './fold.ts'

/** A btree entry holds about 2,700 bytes. */
const mostKeyBytes = 1024

/** Multi-valued attributes whose `value` is found by index. */
export const indexedAttributes = ['emails', 'phoneNumbers', 'ims', 'entitlements', 'roles'] as const

function checkKey(name: string, key: string): string {
  if (Buffer.byteLength(key) > mostKeyBytes) throw invalidValue({ detail: `${name} is longer than ${mostKeyBytes} bytes.` })
  return key
}

function requiredText(stored: AttributeMap, name: string): string {
  const value = stored[name]
  if (typeof value !== 'string' || value.trim() === '') throw invalidValue({ detail: `${name} is required.` })
  return value
}

function externalIdOf(stored: AttributeMap): string | null {
  const value = stored['externalId']
  return typeof value === 'string' ? checkKey('externalId', value) : null
}

function indexedValues(search: AttributeMap): IndexedValue[] {
  const found = new Map<string, IndexedValue>()
  for (const name of indexedAttributes) {
    for (const one of (search[name] ?? []) as readonly AttributeValue[]) {
      const key = (one as AttributeMap)['value']
      const path = `${name}.value`
      if (typeof key === 'string') found.set(`${path} ${key}`, { path, key: checkKey(path, key) })
    }
  }
  return [...found.values()]
}

/** @throws invalidValue without a userName, or with a key too long for an index. */
export function userColumns(stored: AttributeMap): UserColumns {
  const userName = requiredText(stored, 'userName')
  const search = searchable('User', stored)
  return {
    userName,
    userNameKey: checkKey('userName', foldText(userName)),
    externalId: externalIdOf(stored),
    // Not assigned is not active: nobody becomes active by a value taken away.
    active: stored['active'] === true,
    attributes: stored,
    search,
    values: indexedValues(search),
  }
}

/** @throws invalidValue without a displayName, or with a key too long for an index. */
export function groupColumns(stored: AttributeMap): GroupColumns {
  const displayName = requiredText(stored, 'displayName')
  return {
    displayName,
    displayNameKey: checkKey('displayName', foldText(displayName)),
    externalId: externalIdOf(stored),
    attributes: stored,
    search: searchable('Group', stored),
  }
}
