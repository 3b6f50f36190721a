/**
 * Audit: who did what, to which record, from where. It answers and never writes: the platform writes the trail in the
 * transaction of each change, and before the answer of each read leaves.
 *
 * Glossary
 * - **event**: one line of the trail: names of things, never their values; written once and never changed.
 * - **subject**: the recipient whose record an event is about.
 * - **accounting of disclosures**: everybody who got to see one recipient's record (45 CFR 164.528), as the modules' manifests declare it.
 * - **chain**: the links of a tenant's lines, each with the hash of the one before; a line's number (`seq`) is its place in it.
 * - **checkpoint**: a signed head of the chain, kept outside the database.
 * - **outcome**: `done`, `denied` (somebody tried and may not) or `failed`.
 *
 * @example
 * await audit.accountOfAccess(scope, { recipientId, first: 20 })
 */
import { z } from 'zod'
import { event } from '../../kernel/event.ts'
import { disclosureKinds } from '../../platform/module.ts'
import { uuid, type ContractOf, type Methods } from '../../platform/contract.ts'

/** A moment: a date here, its ISO 8601 text on a wire. */
const instant = z.codec(z.iso.datetime({ offset: true }), z.date(), {
  decode: (text) => new Date(text),
  encode: (date) => date.toISOString(),
})

const word = z.string().regex(/^[A-Za-z][\w.:-]{0,79}$/, 'is no name of an action or a kind of record')

export { streamFailing } from './stream/contract.ts'

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
  /** How it disclosed a record, as the module that wrote it declared; null for what is no disclosure. */
  disclosure: z.enum(disclosureKinds).nullable(),
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

/** A line's number in its chain. */
const seq = z.int().min(0)

/** Lines of one call of `verifyChain`, and of one batch of an export. */
export const mostVerified = 50_000
export const mostExported = 5_000

const verdict = z.object({
  ok: z.boolean(),
  /** Lines that were verified, from number `from` to `head`. */
  rows: z.number(),
  from: z.number(),
  head: z.number(),
  /** Signed checkpoints that say something of this chain. */
  checkpoints: z.number(),
  /** The newest line that a checkpoint stands for; null when there is none yet. */
  anchored: z.number().nullable(),
  /** Lines after it, and lines that have no place in the chain yet. */
  unanchored: z.number(),
  unsealed: z.number(),
  firstBad: z.object({ seq: z.number(), eventId: z.string().nullable(), problem: z.string(), sentence: z.string() }).nullable(),
})
export type Verdict = z.output<typeof verdict>

/** A chain did not verify; `seq` is its first bent line. */
export const chainBroken = event('audit.chain.broken', z.object({ seq: z.number() }))

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
  /**
   * Who looked at or changed one recipient's record, newest first, and what concerned every recipient since that record was made (an
   * export of the tenant). `disclosures`: only what modules declared to be a disclosure. Needs `audit:read`. @throws NOT_FOUND
   */
  accountOfAccess: { input: z.object({ recipientId: uuid, disclosures: z.boolean().default(false), ...page }), output: auditPage },
  /**
   * The next batch of the export after line `after`: JSON Lines for the verifier, together with those before or alone. With a
   * recipient or an actor the other lines are there by their digest only, or not at all while they have none. Needs `audit:export`;
   * leaves a line itself.
   */
  exportBatch: {
    input: z.object({
      after: seq.default(0),
      most: z.int().min(1).max(mostExported).default(1_000),
      subjectId: uuid.optional(),
      actorId: uuid.optional(),
    }),
    output: z.object({ text: z.string(), seq: z.number(), lines: z.number(), last: z.boolean() }),
  },
  /**
   * Verifies the chain against the checkpoints outside the database: what comes after line `after`, or the newest lines, at most
   * {@link mostVerified}. A bent chain publishes `audit.chain.broken`. Needs `audit:export`.
   */
  verifyChain: { input: z.object({ after: seq.optional() }), output: verdict },
} satisfies Methods

export type Audit = ContractOf<typeof auditMethods>

declare module '../../platform/module.ts' {
  interface Contracts {
    audit: Audit
  }
}
