/**
 * Audit: who did what, to which record, from where. It answers and never writes: the platform writes the trail in the
 * transaction of each change, and before the answer of each read leaves.
 *
 * Glossary
 * - **event**: one line of the trail: names of things, never their values; written once and never changed.
 * - **subject**: the recipient whose record an event is about.
 * - **accounting of disclosures**: everything done to or read of one recipient's record (45 CFR 164.528).
 * - **outcome**: `done`, `denied` (somebody tried and may not) or `failed`.
 *
 * @example
 * await audit.accountOfAccess(scope, { recipientId, first: 20 })
 */
import { z } from 'zod'
import { uuid, type ContractOf, type Methods } from '../../platform/contract.ts'

/** A moment: a date here, its ISO 8601 text on a wire. */
const instant = z.codec(z.iso.datetime({ offset: true }), z.date(), {
  decode: (text) => new Date(text),
  encode: (date) => date.toISOString(),
})

const word = z.string().regex(/^[A-Za-z][\w.:-]{0,79}$/, 'is no name of an action or a kind of record')

export const auditEventView = z.object({
  id: z.string(),
  /** The database's clock. */
  at: instant,
  /** `member`, `integration`, `system`, `operator` or `anonymous`. */
  actorKind: z.string(),
  actorId: z.string().nullable(),
  plane: z.string().nullable(),
  action: z.string(),
  resource: z.string(),
  resourceId: z.string().nullable(),
  subjectId: z.string().nullable(),
  outcome: z.enum(['done', 'denied', 'failed']),
  purpose: z.string().nullable(),
  requestId: z.string(),
  /** This and the two addresses below: null for family where somebody else acted. */
  sessionId: z.string().nullable(),
  signInMethod: z.string().nullable(),
  sourceAddress: z.string().nullable(),
  userAgent: z.string().nullable(),
  detail: z.array(z.object({ name: z.string(), value: z.string() })),
})
export type AuditEventView = z.output<typeof auditEventView>

const page = {
  /** 1 to 100 events. */
  first: z.int().min(1).max(100),
  /** The id of the last event of the page before. */
  after: uuid.optional(),
}
const auditPage = z.object({ events: z.array(auditEventView).max(100), more: z.boolean() })
export type AuditPage = z.output<typeof auditPage>

export const auditMethods = {
  /**
   * The tenant's trail, newest first; for family, what concerns their own recipients. Needs `audit:read`. Reading it is
   * itself in the trail.
   */
  events: {
    input: z.object({
      actorId: uuid.optional(),
      subjectId: uuid.optional(),
      resource: word.optional(),
      resourceId: uuid.optional(),
      action: word.optional(),
      outcome: z.enum(['done', 'denied', 'failed']).optional(),
      /** From this moment on. */
      from: instant.optional(),
      /** Until before this moment. */
      to: instant.optional(),
      ...page,
    }),
    output: auditPage,
  },
  /** Who looked at or changed one recipient's record, newest first. Needs `audit:read`. @throws NOT_FOUND */
  accountOfAccess: { input: z.object({ recipientId: uuid, ...page }), output: auditPage },
} satisfies Methods

export type Audit = ContractOf<typeof auditMethods>

declare module '../../platform/module.ts' {
  interface Contracts {
    audit: Audit
  }
}
