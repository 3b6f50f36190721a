/** A PATCH of a user: all operations or none. */
import { isDeepStrictEqual } from 'node:util'
import type { PatchUser } from '../engine.ts'
import { userColumns } from '../schema/columns.ts'
import { applyStep } from './apply.ts'
import { readSteps } from './steps.ts'

export const patchUser: PatchUser = (attributes, body) => {
  const patched = readSteps('User', body).reduce(applyStep, attributes)
  return { columns: userColumns(patched), changed: !isDeepStrictEqual(patched, attributes) }
}
