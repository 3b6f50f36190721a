/**
 * Care: the people who are cared for, those around them, and who may do what for whom. It plans no care and sells nothing.
 *
 * Glossary
 * - **recipient**: a person who is cared for. What identifies her is sealed in one envelope (`phi`); birth year and area stay
 *   readable on purpose.
 * - **party**: somebody in a care network: a recipient, a relative, a carer, a clinician, an organisation. May be a member.
 * - **edge** (link): "from" helps, treats or represents "to", from a date, until a date; it carries capabilities and never changes:
 *   it is ended, and another is made.
 * - **capability**: VIEW, PHI, EDIT, MANAGE. Only a live, direct edge to the recipient's own party counts.
 * - **consent**: a recipient lets a party use named fields for a purpose.
 *
 * Pages of their own: contract-fields.ts, contract-lookup.ts, contract-disclosure.ts.
 *
 * Reach (module access): T every recipient of the tenant, N those to whom a live direct edge leads from me, S myself and whom I
 * legally represent. A record out of reach is NOT_FOUND.
 */
import { z } from 'zod'
import { event } from '../../kernel/event.ts'
import { fault } from '../../kernel/fault.ts'
import { locales } from '../../kernel/locale.ts'
import { purposes } from '../../kernel/scope.ts'
import { line, uuid, type ContractOf, type Methods } from '../../platform/contract.ts'
import { permissionInput } from '../access/contract.ts'
import { disclosureMethods } from './contract-disclosure.ts'
import { phi, phiFields, phone } from './contract-fields.ts'
import { lookupMethods } from './contract-lookup.ts'
import { capabilities } from './rules.ts'

export { capabilityMissing, linkRefused, selfGrant } from './rules.ts'
export { lookupFields, type LookupField } from './contract-lookup.ts'
export { phiFields, sexes, type Phi, type PhiField } from './contract-fields.ts'

export const alreadyRecipient = fault('conflict', 'ALREADY_RECIPIENT', 'This member is a recipient already.')
export const edgeEndedAlready = fault('conflict', 'EDGE_ENDED', 'This link has ended already.')
export const recipientArchived = fault('conflict', 'RECIPIENT_ARCHIVED', 'This recipient is archived; nothing is changed any more.')

export const recipientCreated = event('care.recipient.created', z.object({ recipientId: uuid }))
export const edgeLinked = event('care.edge.linked', z.object({ edgeId: uuid }))
export const edgeEnded = event('care.edge.ended', z.object({ edgeId: uuid }))
export const consentChanged = event(
  'care.consent.changed',
  z.object({ consentId: uuid, state: z.enum(['GRANTED', 'WITHDRAWN', 'EXPIRED']) }),
)

/** What a new party may be; a RECIPIENT's party is made with the recipient. */
export const otherPartyKinds = ['FAMILY', 'CAREGIVER', 'CLINICIAN', 'ORG'] as const
export const partyKinds = ['RECIPIENT', ...otherPartyKinds] as const
export const relations = [
  'SPOUSE', 'PARENT', 'CHILD', 'SIBLING', 'RELATIVE', 'FRIEND', 'GUARDIAN', 'PHYSICIAN', 'NURSE', 'THERAPIST', 'CAREGIVER', 'COORDINATOR',
  'MEMBER', 'SUPPLIER', 'OTHER',
] as const

/** Depth of a care network: asked for when nothing is said, and at most. */
export const defaultDepth = 3
export const maxDepth = 6
/** The most parties of one care network that are shown, the recipient's own included. */
export const maxNetworkParties = 500

const areaGeohash5 = z.string().regex(/^[0-9b-hjkmnp-z]{5}$/, 'is not a geohash of five characters')
const preferredLocale = z.string().pipe(z.enum(locales))
const capability = z.enum(capabilities)
const version = z.int()
/** Everybody keeps a given name. */
const clear = z
  .array(z.enum(phiFields))
  .max(phiFields.length)
  .refine((fields) => !fields.includes('givenName'), 'a given name can be changed, not emptied')
/** RFC 3339 with an offset. */
const moment = z.iso.datetime({ offset: true }).transform((text) => new Date(text))

const recipient = z.object({
  id: uuid,
  state: z.enum(['ACTIVE', 'ARCHIVED']),
  preferredLocale: z.string(),
  areaGeohash5: z.string().nullable(),
  birthYear: z.number().nullable(),
  version: z.number(),
})
export type RecipientView = z.output<typeof recipient>
const edge = z.object({ id: uuid, validFrom: z.iso.datetime(), validTo: z.iso.datetime().nullable() })
const consent = z.object({ id: uuid, state: z.enum(['REQUESTED', 'GRANTED', 'WITHDRAWN', 'EXPIRED']), version: z.number() })
const networkMember = z.object({
  partyId: uuid,
  /** Hops to the recipient: 0 is the recipient's own party. */
  distance: z.number(),
  /** Party ids from this party to the recipient's, both included: one of the shortest ways. */
  path: z.array(uuid),
  /** What the hop from this party carries. */
  capabilities: z.array(capability),
  /** What every hop of the path carries. Shown only: nothing but a direct edge grants. */
  combined: z.array(capability),
  relations: z.array(z.string()),
  legalGuardian: z.boolean(),
})
export type NetworkMember = z.output<typeof networkMember>

export const careMethods = {
  ...lookupMethods,
  ...disclosureMethods,
  /** Needs `recipient:read`. @throws NOT_FOUND */
  recipient: { input: z.object({ id: uuid }), output: recipient },
  /**
   * Makes a recipient, her own party and her keys. Needs `recipient:create`; with reach S she is the caller. `membershipId` is
   * the member she is, and only for reach T. @throws ALREADY_RECIPIENT
   */
  createRecipient: {
    input: phi.extend({
      preferredLocale: preferredLocale.optional(),
      areaGeohash5: areaGeohash5.optional(),
      membershipId: uuid.optional(),
    }),
    output: recipient.extend({ partyId: uuid }),
  },
  /** Changes what is given and not sealed. Needs `recipient:update`. @throws NOT_FOUND, STALE_VERSION, CAPABILITY_MISSING */
  updateRecipient: {
    input: z.object({ id: uuid, version, preferredLocale: preferredLocale.optional(), areaGeohash5: areaGeohash5.optional() }),
    output: recipient,
  },
  /** Changes the given sealed fields and empties those in `clear`. Needs `phi:write`. @throws as updateRecipient */
  updatePhi: {
    input: phi.partial().extend({ id: uuid, version, clear: clear.optional() }),
    output: recipient,
  },
  /** Needs `recipient:archive`. @throws NOT_FOUND, STALE_VERSION, INVALID_TRANSITION */
  archiveRecipient: { input: z.object({ id: uuid, version }), output: recipient },
  /** Needs `network:manage`; `membershipId` only with reach T. */
  createParty: {
    input: z.object({ kind: z.enum(otherPartyKinds), name: line(200), phone: phone.optional(), membershipId: uuid.optional() }),
    output: z.object({ id: uuid }),
  },
  /**
   * "From" helps "to" from `validFrom` (default: now) until `validTo` (default: open). Needs `network:manage`.
   * @throws NOT_FOUND, SELF_GRANT, LINK_REFUSED, CAPABILITY_MISSING, RECIPIENT_ARCHIVED
   */
  linkParty: {
    input: z
      .object({
        fromPartyId: uuid,
        toPartyId: uuid,
        relation: z.enum(relations),
        capabilities: z.array(capability).max(capabilities.length),
        legalGuardian: z.boolean().optional(),
        validFrom: moment.optional(),
        validTo: moment.optional(),
      })
      .refine(({ fromPartyId, toPartyId }) => fromPartyId !== toPartyId, { path: ['toPartyId'], message: 'is the same party' })
      .refine(({ validFrom, validTo }) => !validFrom || !validTo || validTo > validFrom, {
        path: ['validTo'],
        message: 'is not after validFrom',
      }),
    output: edge,
  },
  /** Ends a link now, for good. Needs `network:manage`. @throws NOT_FOUND, CAPABILITY_MISSING, EDGE_ENDED */
  endLink: { input: z.object({ id: uuid }), output: edge },
  /** Needs `consent:manage`. @throws NOT_FOUND, RECIPIENT_ARCHIVED */
  grantConsent: {
    input: z.object({
      recipientId: uuid,
      granteeId: uuid,
      purpose: z.enum(purposes),
      fieldSet: z.array(z.enum(phiFields)).min(1).max(phiFields.length),
      validTo: moment.optional(),
    }),
    output: consent,
  },
  /** Needs `consent:manage`. @throws NOT_FOUND, INVALID_TRANSITION */
  withdrawConsent: { input: z.object({ id: uuid }), output: consent },
  /**
   * Who is around a recipient, nearest first. `depth` in hops; more than {@link maxDepth} is cut, and `truncated` says so, as it
   * does when {@link maxNetworkParties} are not all. Needs `network:read`. @throws NOT_FOUND
   */
  network: {
    input: z.object({ recipientId: uuid, depth: z.int().min(1).optional() }),
    output: z.object({ recipientId: uuid, depth: z.number(), truncated: z.boolean(), members: z.array(networkMember) }),
  },
  /** The parties that a member is. Needs `network:read`. */
  partiesOfMember: {
    input: z.object({ membershipId: uuid }),
    output: z.object({ parties: z.array(z.object({ id: uuid, kind: z.enum(partyKinds), recipientId: uuid.nullable() })) }),
  },
  /**
   * Those of the recipients whom the caller reaches with a permission: all with reach T; with N those to whom a live direct edge
   * carries `capability`; with S the caller herself and whom she legally represents. None without the permission.
   */
  mayReach: {
    input: z.object({ recipientIds: z.array(uuid).max(1_000), permission: permissionInput, capability }),
    output: z.object({ recipientIds: z.array(uuid) }),
  },
  /**
   * A recipient's protected fields, for a module that has authorised the read in its own way (an emergency, a disclosure): it asks for no
   * permission, only that the database's policies show the caller the row. Leaves the line of the trail that every read leaves.
   * @throws NOT_FOUND, SUBJECT_ERASED, KEYS_UNAVAILABLE
   */
  openRecord: {
    input: z.object({ recipientId: uuid, fields: z.array(z.enum(phiFields)).min(1) }),
    output: z.object({ fields: z.partialRecord(z.enum(phiFields), z.string()) }),
  },
} satisfies Methods

export type Care = ContractOf<typeof careMethods>

declare module '../../platform/module.ts' {
  interface Contracts {
    care: Care
  }
}
