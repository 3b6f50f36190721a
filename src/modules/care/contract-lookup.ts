/**
 * Care, lookup: finding a recipient by what is sealed, without opening everybody. Only exact values, after normalisation, and whole words
 * of a name; never a part of one.
 *
 * Glossary
 * - **blind index**: for a value a keyed hash of it, beside the party; the database sees which rows have the same value, and no value.
 * - **leakage**: how much that tells, measured on a tenant's own records before a field is switched on.
 * - **index run**: one pass that brings the index of every party in line, and passes that verify it until nothing had to be mended.
 * - **erasure**: a recipient's key is destroyed; what was sealed with it never opens again.
 */
import { z } from 'zod'
import { fault } from '../../kernel/fault.ts'
import { uuid, type Methods } from '../../platform/contract.ts'
import { lookupFields, risks } from './lookup/rules.ts'

export { lookupFields, type LookupField } from './lookup/rules.ts'

export const lookupOff = fault<{ field: string }>(
  'conflict',
  'LOOKUP_OFF',
  ({ field }) => `Recipients are not found by ${field} here. The operator measures and switches it on: maristan keys leakage, keys index.`,
)
export const lookupNotMeasured = fault<{ field: string }>(
  'conflict',
  'LOOKUP_NOT_MEASURED',
  ({ field }) => `What an index of ${field} gives away was not measured within the last day. Run: maristan keys leakage.`,
)
export const indexRunning = fault('conflict', 'INDEX_RUNNING', 'An index run is under way. Let it finish first: maristan keys index.')

export const mrnNotUnique = fault('conflict', 'MRN_NOT_UNIQUE', 'Several records have this number. Name the record by its id.')

/** Recipients that one lookup answers at most. */
export const maxFound = 100

const field = z.enum(lookupFields)
const leakage = z.object({
  field,
  state: z.enum(['MEASURED', 'BUILDING', 'ON']),
  records: z.number(),
  filled: z.number(),
  /** Different values, or words of names. */
  distinct: z.number(),
  /** Records that share the most frequent one. */
  topCount: z.number(),
  risk: z.enum(risks),
  /** What somebody learns who reads the index and has no key. */
  note: z.string(),
  measuredAt: z.iso.datetime(),
})
export type Leakage = z.output<typeof leakage>

const run = z.object({ phase: z.enum(['BUILDING', 'SETTLING', 'VERIFYING', 'DONE']), done: z.number(), mended: z.number() })

export const lookupMethods = {
  /**
   * Ids of the recipients who have this value and whose protected fields the caller may open, at most {@link maxFound}. Exactly one
   * field is given. Needs `phi:read`. Every one found leaves a trace, as a read does. @throws LOOKUP_OFF
   */
  findRecipients: {
    input: z.partialRecord(field, z.string().trim().min(1).max(300)).refine((by) => Object.keys(by).length === 1, 'give exactly one field'),
    output: z.object({ recipientIds: z.array(uuid) }),
  },
  /**
   * The one recipient with this medical record number, wherever she is: for an emergency, on the login that has just taken a second factor.
   * Asks for no permission; the line about the emergency is the caller's to leave. @throws LOOKUP_OFF, NOT_FOUND, MRN_NOT_UNIQUE
   */
  recipientByMrn: { input: z.object({ mrn: z.string().trim().min(1).max(64) }), output: z.object({ recipientId: uuid }) },
  /** Measures what an index of each field would give away, and writes it down. The operator. */
  measureLeakage: { input: z.object({}), output: z.object({ fields: z.array(leakage) }) },
  /** Begins to index these fields. The operator. @throws LOOKUP_NOT_MEASURED, INDEX_RUNNING */
  switchOnLookup: { input: z.object({ fields: z.array(field).min(1).max(lookupFields.length) }), output: run },
  /** Begins to index everything under a new lookup key, beside the one that answers. The operator. @throws INDEX_RUNNING */
  rekeyLookup: { input: z.object({}), output: run },
  /** One batch of the run under way; repeat until DONE. SETTLING: wait a second. The operator. */
  indexBatch: { input: z.object({ size: z.int().min(1).max(200) }), output: run },
  /** Destroys the recipient's key and what is readable of her. The operator. @throws NOT_FOUND, SUBJECT_ERASED */
  eraseRecipient: {
    input: z.object({ id: uuid, backupsUntil: z.iso.datetime().nullable() }),
    output: z.object({ certificateId: uuid, keyIds: z.array(z.string()) }),
  },
} satisfies Methods
