/**
 * Tenancy: the agencies, clinics and hospitals that live in this building, and their settings. It never sees a person.
 *
 * Glossary
 * - **tenant**: one organisation with its own people, records, keys, brand and audit trail. Nothing crosses tenants.
 * - **slug**: a tenant's name in addresses (`cedar` in `cedar.localhost`); unique in the building and never changed.
 * - **suspended**: nobody signs in and no call is answered; nothing is deleted.
 * - **left**: its keys are destroyed and its rows gone. The name stays taken, and the audit trail readable.
 * - **operator's approval**: the tenant's leave for the operator to let people in, for some hours and a stated reason.
 */
import { z } from 'zod'
import { event } from '../../kernel/event.ts'
import { fault } from '../../kernel/fault.ts'
import { locales } from '../../kernel/locale.ts'
import { line, uuid, type ContractOf, type Methods } from '../../platform/contract.ts'

export const slugTaken = fault<{ slug: string }>('conflict', 'SLUG_TAKEN', ({ slug }) => `The slug ${slug} is taken. Choose another.`)

export const tenantLeft = fault('conflict', 'TENANT_LEFT', 'This organisation has left, and does not come back.')

export const tenantProvisioned = event('tenancy.tenant.provisioned', z.object({ tenantId: z.string() }))

const timeZones = new Set([...Intl.supportedValuesOf('timeZone'), 'UTC'])

export const slug = z
  .string()
  .regex(/^[a-z][a-z0-9-]{1,38}[a-z0-9]$/, '3 to 40 characters: small letters, digits and hyphens, beginning with a letter')
const timezone = z.string().refine((name) => timeZones.has(name), 'is not an IANA time zone, for example Asia/Amman')
const currency = z.string().regex(/^[A-Z]{3}$/, 'is not an ISO 4217 code, for example JOD')
const kind = z.enum(['AGENCY', 'CLINIC', 'HOSPITAL'])

export const tenantSettings = z.object({
  tenantId: z.string(),
  slug: z.string(),
  legalName: z.string(),
  kind,
  status: z.enum(['ACTIVE', 'SUSPENDED', 'LEFT']),
  defaultLocale: z.enum(locales),
  timezone: z.string(),
  currency: z.string(),
  version: z.number(),
})
export type TenantSettings = z.output<typeof tenantSettings>

/** The longest an approval lasts, in hours. */
export const mostApprovalHours = 72

export const approvalShape = z.object({
  id: z.string(),
  reason: z.string(),
  grantedBy: z.string(),
  /** RFC 3339. */
  expiresAt: z.string(),
})
export type Approval = z.output<typeof approvalShape>

export const tenancyMethods = {
  /** The tenant's settings. Needs `tenant:read`. */
  settings: { input: z.object({}), output: tenantSettings },
  /** What anybody at the tenant's door may know: its name and language. */
  front: { input: z.object({}), output: tenantSettings.pick({ slug: true, legalName: true, defaultLocale: true }) },
  /** Changes what is given; `version` is the one that was read. Needs `tenant:update`. @throws STALE_VERSION */
  update: {
    input: z.object({
      version: z.int(),
      legalName: line(200).optional(),
      defaultLocale: z.enum(locales).optional(),
      timezone: timezone.optional(),
      currency: currency.optional(),
    }),
    output: tenantSettings,
  },
  /** Makes the scope's tenant. The operator only. @throws SLUG_TAKEN */
  provision: {
    input: z.object({
      slug,
      legalName: line(200),
      kind: kind.default('AGENCY'),
      defaultLocale: z.enum(locales).default('en'),
      timezone: timezone.default('UTC'),
      currency: currency.default('USD'),
    }),
    output: tenantSettings,
  },
  /** Lets the operator act for `hours`. A member, never a program; needs `tenant:update`. */
  approveOperator: { input: z.object({ reason: line(500), hours: z.int().min(1).max(mostApprovalHours) }), output: z.object({ id: z.string() }) },
  /** Takes an approval back at once; what it has let happen stays. Repeating it changes nothing. As approveOperator. @throws NOT_FOUND */
  withdrawOperatorApproval: { input: z.object({ id: uuid }), output: z.object({ id: z.string() }) },
  /** The approval in force that lasts longest, or null. The operator only. */
  operatorApproval: { input: z.object({}), output: z.object({ approval: approvalShape.nullable() }) },
  /** Shuts the tenant's door, or opens it again. The operator only. @throws TENANT_LEFT */
  setSuspended: { input: z.object({ suspended: z.boolean() }), output: tenantSettings },
  /** Marks the tenant as one that left. Repeating it changes nothing. The operator only, as the last step of an offboarding. */
  leave: { input: z.object({}), output: tenantSettings },
} satisfies Methods

export type Tenancy = ContractOf<typeof tenancyMethods>

declare module '../../platform/module.ts' {
  interface Contracts {
    tenancy: Tenancy
  }
}

