/** Lists of resources: filtered, sorted and paged in the database, by index (RFC 7644 §3.4.2) or by cursor (RFC 9865). */
import { timedOut } from '../../../kernel/fault.ts'
import type { Scope } from '../../../kernel/scope.ts'
import { readCursor, writeCursor, type Question } from './cursor.ts'
import type { CompileFilter, CompileSort, ResourceName } from './engine.ts'
import { scimLimits } from './limits.ts'
import type { AcrossRepo, Half, MixedResource } from './repo-across.ts'
import type { GroupsRepo } from './repo-groups.ts'
import type { UsersRepo } from './repo-users.ts'
import { invalidCount, invalidValue, tooManyResults } from './schema/faults.ts'

/** A question as query parameters or a .search body put it. */
export interface ListAsked {
  readonly filter?: string | undefined
  readonly sortBy?: string | undefined
  readonly sortOrder?: string | undefined
  readonly startIndex?: string | number | undefined
  readonly count?: string | number | undefined
  /** Empty for the first page. */
  readonly cursor?: string | undefined
}

export interface Listed {
  readonly resources: readonly MixedResource[]
  readonly total: number
  /** Null on a cursor's page. */
  readonly startIndex: number | null
  /** Undefined on a page by index, null on the last of a cursor's. */
  readonly nextCursor?: string | null
}

export interface ListParts {
  readonly users: UsersRepo
  readonly groups: GroupsRepo
  readonly across: AcrossRepo
  readonly compileFilter: CompileFilter
  readonly compileSort: CompileSort
  readonly nowMs: () => number
}

function wholeNumber(name: string, given: string | number | undefined): number | null {
  if (given === undefined) return null
  const number = typeof given === 'number' ? given : /^[+-]?\d{1,9}$/.test(given.trim()) ? Number(given) : Number.NaN
  if (!Number.isSafeInteger(number)) throw invalidValue({ detail: `${name} is no whole number.` })
  return number
}

/** One kind of resource, or all of them (RFC 7644 §3.4.2.1). */
const kindsOf = { User: ['User'], Group: ['Group'], all: ['User', 'Group'] } as const satisfies Readonly<Record<string, readonly ResourceName[]>>
export type Listable = keyof typeof kindsOf

export function createLister({ users, groups, across, compileFilter, compileSort, nowMs }: ListParts) {
  const repos = { User: users, Group: groups }

  const list = async (scope: Scope, connectionId: string, listed: Listable, asked: ListAsked): Promise<Listed> => {
    const order = (asked.sortOrder ?? 'ascending').toLowerCase()
    if (order !== 'ascending' && order !== 'descending') throw invalidValue({ detail: 'sortOrder is ascending or descending.' })
    const ground = { tenantId: scope.tenantId, connectionId, isAmongOthers: listed === 'all' }
    const halves = kindsOf[listed].map((kind): Half => ({
      kind,
      where: asked.filter === undefined ? null : compileFilter(asked.filter, kind, ground),
      sort: asked.sortBy === undefined ? null : compileSort(asked.sortBy, kind, ground),
    }))
    const [{ kind, where, sort }, other] = halves as [Half, Half?]
    const descending = sort !== null && order === 'descending'
    const count = wholeNumber('count', asked.count)
    const limit = Math.min(Math.max(count ?? scimLimits.usualPage, 0), scimLimits.mostPage)

    const total = async (): Promise<number> => {
      const counts = await Promise.all(halves.map((half) => repos[half.kind].count(scope, connectionId, half.where)))
      return counts.reduce((sum, one) => sum + one, 0)
    }
    const page = async (begin: { after: string | null; offset: number; limit: number }): Promise<MixedResource[]> => {
      if (other) return across.page(scope, connectionId, { halves, descending, ...begin })
      const rows = await repos[kind].page(scope, connectionId, { where, sort, descending, ...begin })
      return rows.map((row) => ({ ...row, kind }))
    }

    if (asked.cursor === undefined) {
      const startIndex = Math.max(wholeNumber('startIndex', asked.startIndex) ?? 1, 1)
      const resources = limit === 0 ? [] : page({ after: null, offset: startIndex - 1, limit })
      const [counted, found] = await Promise.all([total(), resources])
      return { resources: found, total: counted, startIndex }
    }

    if (count !== null && count < 1) throw invalidCount({ detail: 'A page by cursor has at least one resource.' })
    const question: Question = [listed, connectionId, asked.filter, asked.sortBy, order]
    const from = asked.cursor === '' ? null : readCursor(asked.cursor, question, nowMs())
    const byOffset = sort !== null || other !== undefined
    const begin = byOffset ? { after: null, offset: from?.offset ?? 0 } : { after: from?.after ?? null, offset: 0 }
    // One more than the page tells whether there is a next one; the first page counts for all of them.
    const [counted, rows] = await Promise.all([from?.total ?? total(), page({ ...begin, limit: limit + 1 })])
    const resources = rows.slice(0, limit)
    const hasMore = rows.length > limit
    const next = { after: byOffset ? null : (resources.at(-1)?.id ?? null), offset: byOffset ? begin.offset + limit : 0, total: counted }
    return { resources, total: counted, startIndex: null, nextCursor: hasMore ? writeCursor(next, question, nowMs()) : null }
  }

  // What a filter costs shows when it is tried: where the database broke it off, it is more than we process (RFC 7644 §3.12).
  return (...given: Parameters<typeof list>): Promise<Listed> =>
    list(...given).catch((error: unknown) => {
      if (!timedOut.is(error) || given[3].filter === undefined) throw error
      throw tooManyResults({ detail: 'This filter takes too long here. Ask by userName, externalId, id or emails.value, or for less.' })
    })
}

export type Lister = ReturnType<typeof createLister>
