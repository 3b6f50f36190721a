/** Audit's use cases: reading the trail, which leaves a line in it. */
import { forbidden, notFound } from '../../kernel/fault.ts'
import { memberIdOf, type Scope } from '../../kernel/scope.ts'
import { need } from '../../platform/authorise.ts'
import { checked } from '../../platform/contract.ts'
import type { DisclosureKind } from '../../platform/module.ts'
import { isRole, scopeOf } from '../access/contract.ts'
import { auditMethods, type Audit, type AuditEventView, type AuditPage } from './contract.ts'
import type { AuditRepo, Line } from './repo.ts'

const permission = 'audit:read'

export interface AuditParts {
  readonly repo: AuditRepo
  /** Actions that disclose a record, by what the modules declared. */
  readonly disclosures: ReadonlyMap<string, DisclosureKind>
}

export function createAudit({ repo, disclosures }: AuditParts): Pick<Audit, 'events' | 'accountOfAccess'> {
  /** `T` sees the tenant's trail; `S` what concerns its own recipients, whom the policies of the database alone know. */
  function reach(scope: Scope): 'T' | 'S' {
    need(scope, permission)
    const { actor } = scope
    const role = actor.kind === 'member' || actor.kind === 'integration' ? actor.role : ''
    const letter = isRole(role) ? scopeOf(role, permission) : null
    if (letter !== 'T' && letter !== 'S') throw forbidden({ permission })
    return letter
  }

  function pageOf(scope: Scope, letter: 'T' | 'S', rows: readonly Line[], first: number): AuditPage {
    const me = memberIdOf(scope)
    return {
      events: rows.slice(0, first).map((row) => {
        const whole = letter === 'T' || (row.actorId !== null && row.actorId === me)
        return { ...view(row, whole), disclosure: row.outcome === 'done' ? (disclosures.get(row.action) ?? null) : null }
      }),
      more: rows.length > first,
    }
  }

  const { events, accountOfAccess } = auditMethods
  return checked({ events, accountOfAccess }, {
    async events(scope, { first, after, from, to, ...equals }) {
      const letter = reach(scope)
      const rows = await repo.page(scope, { ...equals, from, to }, { first, after })
      scope.unit.record({
        action: 'audit.read',
        resource: 'AuditEvent',
        // Only of a recipient who has lines: an id that names nobody here must not get one by being asked for.
        subjectId: rows.length > 0 ? (equals.subjectId ?? null) : null,
        outcome: 'done',
        detail: { rows: Math.min(rows.length, first), filters: [...Object.keys(equals), ...(from || to ? ['at'] : [])] },
      })
      return pageOf(scope, letter, rows, first)
    },

    async accountOfAccess(scope, { recipientId, disclosures: only, first, after }) {
      const letter = reach(scope)
      // A record leaves a line when it is made: no line at all is a recipient who does not exist for this caller.
      const since = await repo.firstOf(scope, recipientId)
      if (since === null) throw notFound()
      const filter = only ? { actions: [...disclosures.keys()], outcome: 'done' } : {}
      const rows = await repo.page(scope, { ...filter, account: { recipientId, since } }, { first, after })
      scope.unit.record({
        action: 'audit.read',
        resource: 'CareRecipient',
        resourceId: recipientId,
        subjectId: recipientId,
        outcome: 'done',
        detail: { rows: Math.min(rows.length, first) },
      })
      return pageOf(scope, letter, rows, first)
    },
  })
}

/** @param whole false for a reader to whom staff's addresses and sessions are not shown. */
function view(row: Line, whole: boolean): Omit<AuditEventView, 'disclosure'> {
  const { id, at, actorKind, actorId, plane, action, resource, resourceId, purpose, requestId, signInMethod } = row
  // What concerns everybody of a tenant is about nobody in particular.
  const subjectId = row.subjectId === row.tenantId ? null : row.subjectId
  const shown = { id, at, actorKind, actorId, plane, action, resource, resourceId, subjectId, purpose, requestId, signInMethod }
  return {
    ...shown,
    outcome: row.outcome as AuditEventView['outcome'],
    sessionId: whole ? row.sessionId : null,
    sourceAddress: whole ? row.sourceAddress : null,
    userAgent: whole ? row.userAgent : null,
    detail: Object.entries((row.detail ?? {}) as Record<string, unknown>).map(([name, value]) => ({
      name,
      value: Array.isArray(value) ? value.join(', ') : String(value),
    })),
  }
}
