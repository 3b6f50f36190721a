/** Audit's use cases: reading the trail, which leaves a line in it. */
import { forbidden, notFound } from '../../kernel/fault.ts'
import { memberIdOf, type Scope } from '../../kernel/scope.ts'
import { need } from '../../platform/authorise.ts'
import { checked } from '../../platform/contract.ts'
import { isRole, scopeOf } from '../access/contract.ts'
import { auditMethods, type Audit, type AuditEventView, type AuditPage } from './contract.ts'
import type { AuditRepo, Line } from './repo.ts'

const permission = 'audit:read'

export function createAudit({ repo }: { repo: AuditRepo }): Pick<Audit, 'events' | 'accountOfAccess'> {
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
      events: rows.slice(0, first).map((row) => view(row, letter === 'T' || (row.actorId !== null && row.actorId === me))),
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

    async accountOfAccess(scope, { recipientId, first, after }) {
      const letter = reach(scope)
      const rows = await repo.page(scope, { subjectId: recipientId }, { first, after })
      // A record leaves a line when it is made: no line at all is a recipient who does not exist for this caller.
      if (rows.length === 0 && after === undefined) throw notFound()
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
function view(row: Line, whole: boolean): AuditEventView {
  const { id, at, actorKind, actorId, plane, action, resource, resourceId, subjectId, purpose, requestId, signInMethod } = row
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
