/**
 * Vault: the keys of the building, and the one place where they seal and open. It stores no sealed value and never hands out a key.
 *
 * Glossary
 * - **subject**: a person whose data is sealed (a care recipient, or another party of a care network); an opaque id here.
 * - **subject key**: a random key a subject, wrapped by the tenant's data key. Destroying it erases the person.
 * - **data key**: the tenant's own key, wrapped by the KMS. KMS -> data key -> subject key -> record. It turns every 90 days.
 * - **own key**: a key at the KMS that the tenant brought, in place of the building's, to wrap its data keys with.
 * - **dark**: the KMS does not give a tenant's key; its sealed data stays closed until it does.
 * - **lookup key**: a key a tenant, under which blind indexes are computed; its generations may stand side by side.
 * - **record**: the sealed columns of one row, as one envelope: names and values together.
 * - **platform key**: seals secrets that are not health data (TOTP secrets, signing keys); belongs to no tenant.
 *
 * Its callers are modules, which have authorised already: it asks for no permission, only for a tenant that the scope names.
 *
 * @example
 * await vault.createSubjects(scope, { subjectIds: [id] })
 * const { sealed } = await vault.seal(scope, { items: [{ subjectId: id, model: 'CareRecipient', field: 'phi', rowId: id, record }] })
 */
import { z } from 'zod'
import { event } from '../../kernel/event.ts'
import { fault } from '../../kernel/fault.ts'
import { uuid, type ContractOf, type Methods } from '../../platform/contract.ts'
import { keyTroubles } from '../../platform/crypto/kms.ts'
import type { JsonValue } from '../../platform/crypto/seal.ts'
import { blindKinds } from './blind.ts'

export { normalised, type BlindKind } from './blind.ts'
export { keysUnavailable } from '../../platform/crypto/kms.ts'
export { sealedValueUnreadable } from '../../platform/crypto/seal.ts'

export const tenantKeyExists = fault('conflict', 'TENANT_KEY_EXISTS', 'This tenant has its key already; a second would open nothing.')
export const subjectKeyExists = fault('conflict', 'SUBJECT_KEY_EXISTS', 'One of these subjects has its key already.')
export const subjectErased = fault('conflict', 'SUBJECT_ERASED', 'The data of this person has been erased, and is not written again.')

export const underLegalHold = fault('conflict', 'UNDER_LEGAL_HOLD', 'A legal hold is in force: nothing of this is erased until a compliance officer lifts it.')

export const generationBuilding = fault('conflict', 'LOOKUP_GENERATION_BUILDING', 'A generation of the lookup key is being built already.')

export const keyRotated = event('vault.key.rotated', z.object({ version: z.number() }))

/** Why one item did not open: its key is destroyed (the person is erased), or the value is not what was sealed in that place. */
export const refusals = ['KEY_DESTROYED', 'UNREADABLE'] as const

/** The most items of one call. */
export const maxItems = 1_000

const part = z.string().min(1).max(255)
const place = { model: part, field: part, rowId: uuid }
const jsonRecord = z.record(z.string(), z.json()) as z.ZodType<Record<string, JsonValue>>
const batch = <Item extends z.ZodType>(item: Item) => z.object({ items: z.array(item).max(maxItems) })
const secretPlace = { model: part, field: part, rowId: part }

const moment = z.iso.datetime()
const version = z.number()
export const keyStatus = z.object({
  keys: z.array(
    z.object({
      version,
      state: z.enum(['ACTIVE', 'RETIRED', 'DESTROYED']),
      /** Of the key encryption key. */
      keyId: z.string(),
      own: z.boolean(),
      createdAt: moment,
      destroyedAt: moment.nullable(),
      /** Subject keys that it wraps. */
      subjects: z.number(),
    }),
  ),
  /** Subjects whose key is destroyed. */
  erased: z.number(),
  /** How soon health data is dark everywhere when the KMS stops giving the tenant's own key, and how that went the last time. */
  timeToDark: z.object({
    /** No unwrapped key lives longer, in any process. */
    boundMs: z.number(),
    trouble: z.enum(keyTroubles).nullable(),
    lastOpenAt: moment.nullable(),
    darkSince: moment.nullable(),
    darkEverywhereBy: moment.nullable(),
    /** From the last time the watch had the key to the first time it did not. */
    measuredMs: z.number().nullable(),
  }),
  rotation: z
    .object({
      run: z.string(),
      state: z.enum(['RUNNING', 'DONE']),
      fromVersion: version,
      toVersion: version,
      done: z.number(),
      startedAt: moment,
      finishedAt: moment.nullable(),
    })
    .nullable(),
  lookupGenerations: z.array(z.object({ generation: z.number(), state: z.enum(['BUILDING', 'ACTIVE']) })),
})
export type KeyStatus = z.output<typeof keyStatus>

const rotation = z.object({ state: z.enum(['RUNNING', 'SETTLING', 'DONE']), fromVersion: version, toVersion: version, done: z.number() })

export const vaultMethods = {
  /** Makes the scope's tenant its data key, version 1. The operator only. @throws TENANT_KEY_EXISTS, KEYS_UNAVAILABLE */
  provisionTenant: { input: z.object({}), output: z.object({ version: z.number() }) },
  /**
   * Makes a key for each subject, in the caller's command: the key commits with the rows it seals.
   * @throws SUBJECT_KEY_EXISTS, KEYS_UNAVAILABLE
   */
  createSubjects: { input: z.object({ subjectIds: z.array(uuid).min(1).max(maxItems) }), output: z.object({}) },
  /** Seals each record for its place. @throws SUBJECT_ERASED, KEYS_UNAVAILABLE */
  seal: {
    input: batch(z.object({ subjectId: uuid, ...place, record: jsonRecord })),
    output: z.object({ sealed: z.array(z.string()) }),
  },
  /**
   * Opens each record, in the order asked; `refusals` says for each null why. Whoever shows what it opened records the read.
   * @throws KEYS_UNAVAILABLE when a key that should be there cannot be had: nothing is opened then.
   */
  open: {
    input: batch(z.object({ subjectId: uuid, ...place, sealed: z.string() })),
    output: z.object({ records: z.array(jsonRecord.nullable()), refusals: z.array(z.enum(refusals).nullable()) }),
  },
  /** Seals secrets under the platform's key. @throws KEYS_UNAVAILABLE */
  sealSecrets: {
    input: batch(z.object({ ...secretPlace, value: z.string() })),
    output: z.object({ sealed: z.array(z.string()) }),
  },
  /** The tenant's keys and how they are. Needs `tenant:read`; also for the operator and the system. */
  keyStatus: { input: z.object({}), output: keyStatus },
  /**
   * Has the tenant's data keys wrapped by a key of its own at the KMS: id or ARN. Needs `tenant:update`; custody asks for a second factor.
   * @throws KEYS_UNAVAILABLE unless it was proven by a round trip; nothing is changed then.
   */
  useOwnKey: { input: z.object({ keyId: z.string().trim().min(1).max(2_048) }), output: keyStatus },
  /** Makes the next data key and begins, or goes on with, its rotation. The operator or the system. @throws KEYS_UNAVAILABLE */
  startRotation: { input: z.object({}), output: rotation },
  /** One batch of the rotation under way; repeat until DONE. SETTLING: wait a second. The operator or the system. */
  rotateBatch: { input: z.object({ size: z.int().min(1).max(2_000) }), output: rotation },
  /** Destroys a subject's key for good. The operator. @throws SUBJECT_ERASED, NOT_FOUND, UNDER_LEGAL_HOLD */
  eraseSubject: {
    input: z.object({ subjectId: uuid, backupsUntil: moment.nullable() }),
    output: z.object({ certificateId: uuid, keyIds: z.array(z.string()) }),
  },
  /** A person's erasure, as its certificate tells it; the newest of the subject. The operator. @throws NOT_FOUND */
  erasure: {
    input: z.object({ subjectId: uuid }),
    output: z.object({
      id: uuid,
      keyIds: z.array(z.string()),
      erasedBy: z.string(),
      erasedAt: moment,
      /** When the person's key was made: no backup before holds it. */
      createdAt: moment,
      backupsUntil: moment.nullable(),
      /** Signed; null until it is. */
      document: z.string().nullable(),
    }),
  },
  /** Keeps the signed certificate of an erasure, once. The operator. */
  keepCertificate: { input: z.object({ id: uuid, document: z.string().max(100_000) }), output: z.object({}) },
  /**
   * Destroys at most `size` keys of people and then, when none is left, the lookup and data keys: the whole tenant is dark for good.
   * Repeat until `done`. The operator. @throws UNDER_LEGAL_HOLD
   */
  shredTenant: {
    input: z.object({ size: z.int().min(1).max(10_000) }),
    output: z.object({
      done: z.boolean(),
      /** People whose key is destroyed, so far. */
      subjects: z.number(),
      keys: z.array(z.object({ id: z.string(), keyId: z.string(), own: z.boolean(), destroyedAt: moment.nullable() })),
    }),
  },
  /**
   * The tokens of each value under every generation of the lookup key, the oldest first; `answers` is the one to look up with.
   * No generation when nothing is indexed yet. @throws KEYS_UNAVAILABLE
   */
  blind: {
    input: z.object({
      values: z.array(z.object({ field: part, kind: z.enum(blindKinds), value: z.string().max(10_000) })).max(maxItems),
    }),
    output: z.object({
      answers: z.number().nullable(),
      generations: z.array(z.object({ generation: z.number(), tokens: z.array(z.array(z.string())) })),
    }),
  },
  /** Makes another generation of the lookup key, beside the one that answers. The operator. @throws LOOKUP_GENERATION_BUILDING */
  addLookupGeneration: { input: z.object({}), output: z.object({ generation: z.number() }) },
  /** The generation being built answers from now on; the former is destroyed. The operator or the system. */
  turnLookupGeneration: { input: z.object({}), output: z.object({ destroyed: z.array(z.number()) }) },
  /** Opens what sealSecrets sealed, all or nothing. @throws SEALED_VALUE_UNREADABLE, KEYS_UNAVAILABLE */
  openSecrets: {
    input: batch(z.object({ ...secretPlace, sealed: z.string() })),
    output: z.object({ values: z.array(z.string()) }),
  },
} satisfies Methods

export type Vault = ContractOf<typeof vaultMethods>

declare module '../../platform/module.ts' {
  interface Contracts {
    vault: Vault
  }
}
