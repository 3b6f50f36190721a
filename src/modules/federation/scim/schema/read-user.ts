/** A user as a directory sends it whole (RFC 7644 §3.3, §3.5.1). */
import type { AttributeMap, ReadUser } from '../engine.ts'
import { userColumns } from './columns.ts'
import { readResource } from './read-resource.ts'

/** A new user is active unless the directory says otherwise; one replaced stays as active as it was, unassigned too. */
export const readUser: ReadUser = (body, current?: AttributeMap) => {
  const { stored } = readResource('User', body)
  const active = stored['active'] ?? (current ? current['active'] : true)
  return userColumns(active === undefined ? stored : { ...stored, active })
}
