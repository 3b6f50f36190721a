/**
 * Vault: the keys of the building, and the one place where they seal and open. It stores no sealed value and never hands out a key.
 *
 * Glossary
 * - **subject**: a person whose data is sealed (a care recipient, or another party of a care network); an opaque id here.
 * - **subject key**: a random key a subject, wrapped by the tenant's data key. Destroying it erases the person.
 * - **data key**: the tenant's own key, wrapped by the KMS. KMS -> data key -> subject key -> record.
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
import { fault } from '../../kernel/fault.ts'
import { uuid, type ContractOf, type Methods } from '../../platform/contract.ts'
import type { JsonValue } from '../../platform/crypto/seal.ts'

export { keysUnavailable } from '../../platform/crypto/kms.ts'
export { sealedValueUnreadable } from '../../platform/crypto/seal.ts'

export const tenantKeyExists = fault('conflict', 'TENANT_KEY_EXISTS', 'This tenant has its key already; a second would open nothing.')
export const subjectKeyExists = fault('conflict', 'SUBJECT_KEY_EXISTS', 'One of these subjects has its key already.')
export const subjectErased = fault('conflict', 'SUBJECT_ERASED', 'The data of this person has been erased, and is not written again.')

/** Why one item did not open: its key is destroyed (the person is erased), or the value is not what was sealed in that place. */
export const refusals = ['KEY_DESTROYED', 'UNREADABLE'] as const

/** The most items of one call. */
export const maxItems = 1_000

const part = z.string().min(1).max(255)
const place = { model: part, field: part, rowId: uuid }
const jsonRecord = z.record(z.string(), z.json()) as z.ZodType<Record<string, JsonValue>>
const batch = <Item extends z.ZodType>(item: Item) => z.object({ items: z.array(item).max(maxItems) })
const secretPlace = { model: part, field: part, rowId: part }

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
