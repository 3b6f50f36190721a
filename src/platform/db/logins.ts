/**
 * The database logins: one pair a plane, one for signing people in, one for customers' directories, one for
 * jobs, one for the operator.
 * A login owns nothing, is a member of nothing, and holds only its grants; a role inside a transaction could be set
 * again, a login cannot.
 */
import { planes, type Plane } from '../../kernel/scope.ts'
import { deriveLoginPassword } from '../crypto/hash.ts'

/** `maristan_<plane>` writes, `maristan_<plane>_read` has no write grant at all. */
export type Login =
  | `maristan_${Plane}`
  | `maristan_${Plane}_read`
  | 'maristan_auth'
  | 'maristan_auth_read'
  | 'maristan_directory'
  | 'maristan_directory_read'
  | 'maristan_worker'
  | 'maristan_operator'

export const authLogin: Login = 'maristan_auth'
export const authReadLogin: Login = 'maristan_auth_read'
export const directoryLogin: Login = 'maristan_directory'
export const directoryReadLogin: Login = 'maristan_directory_read'
export const workerLogin: Login = 'maristan_worker'
export const operatorLogin: Login = 'maristan_operator'

export const writeLoginOf = (plane: Plane): Login => `maristan_${plane}`
export const readLoginOf = (plane: Plane): Login => `maristan_${plane}_read`

export const logins: readonly Login[] = [
  ...planes.map(writeLoginOf),
  ...planes.map(readLoginOf),
  authLogin,
  authReadLogin,
  directoryLogin,
  directoryReadLogin,
  workerLogin,
  operatorLogin,
]

/** The address of the database with this login's name and password in place of whatever the URL held. */
export function urlFor(login: Login, databaseUrl: string, secret: string): string {
  const url = new URL(databaseUrl)
  url.username = login
  url.password = deriveLoginPassword(secret, login)
  return url.href
}
