/** A list that the database broke off: too much where a filter was asked, and no more than late without one. */
import { expect, test } from 'vitest'
import { timedOut } from '../../../kernel/fault.ts'
import type { Scope } from '../../../kernel/scope.ts'
import { compileFilter } from './filter/compile.ts'
import { compileSort } from './filter/sort.ts'
import { createLister } from './list.ts'
import type { AcrossRepo } from './repo-across.ts'
import type { GroupsRepo } from './repo-groups.ts'
import type { UsersRepo } from './repo-users.ts'

const late = () => Promise.reject(timedOut())
const empty = { count: () => Promise.resolve(0), page: () => Promise.resolve([]) }
const others = { groups: empty as unknown as GroupsRepo, across: empty as unknown as AcrossRepo }
const lister = (users: object) =>
  createLister({ users: users as UsersRepo, ...others, compileFilter, compileSort, nowMs: () => 0 })
const scope = { tenantId: '00000000-0000-7000-8000-000000000001' } as Scope

test('a filter that takes longer than the database may is refused as tooMany', async () => {
  const code = (value: string) => expect.objectContaining({ code: value }) as Error
  const asked = { filter: 'title co "x"' }
  await expect(lister({ count: late, page: late })(scope, scope.tenantId, 'User', asked)).rejects.toEqual(code('SCIM_TOO_MANY'))
  await expect(lister({ count: late, page: late })(scope, scope.tenantId, 'User', {})).rejects.toEqual(code('TIMED_OUT'))
  expect(await lister(empty)(scope, scope.tenantId, 'User', asked)).toMatchObject({ total: 0 })
})
