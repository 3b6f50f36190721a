/** SAML, administration: setting connections up, by an administrator of the tenant or by the operator. See `contract.ts`. */
import { z } from 'zod'
import { line, uuid, type ContractOf, type Methods } from '../../../platform/contract.ts'
import { connectionMachine, mappableRoles, newcomerRoles } from './rules.ts'

export const vendors = ['entra', 'okta', 'google', 'ping', 'adfs', 'generic'] as const

const attributeName = line(300)
const domain = z
  .string()
  .trim()
  .toLowerCase()
  .regex(/^(?=.{3,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?!\d+$)[a-z0-9][a-z0-9-]{0,61}$/, 'is not a domain name, for example hospital.example')
const certificatePem = z.string().max(20_000)
/** Half a megabyte of text; a metadata document of one provider has some ten kilobytes. */
const metadataXml = z.string().max(512 * 1024)

const secret = z.string().max(100)

const ruleShape = z.object({ attribute: attributeName, value: line(500), role: z.enum(mappableRoles) })

export const attemptShape = z.object({
  id: z.string(),
  at: z.date(),
  connectionId: z.string().nullable(),
  purpose: z.string(),
  result: z.enum(['SIGNED_IN', 'TESTED', 'STEPPED_UP', 'REFUSED']),
  reason: z.string().nullable(),
  /** Both languages of IT. */
  sentence: z.object({ en: z.string(), ar: z.string() }).nullable(),
  detail: z.string().nullable(),
  role: z.string().nullable(),
  /** The assertion, redacted: names of attributes, and of values what one recognises them by. */
  shown: z.record(z.string(), z.json()).nullable(),
})
export type Attempt = z.output<typeof attemptShape>

export const connectionShape = z.object({
  id: z.string(),
  name: z.string(),
  vendor: z.enum(vendors),
  state: z.enum(connectionMachine.states),
  entityId: z.string().nullable(),
  ssoUrl: z.string().nullable(),
  metadataUrl: z.string().nullable(),
  metadataReadAt: z.date().nullable(),
  metadataProblem: z.string().nullable(),
  allowUnsolicited: z.boolean(),
  jitAllowed: z.boolean(),
  jitRole: z.string().nullable(),
  emailAttribute: z.string().nullable(),
  idAttribute: z.string().nullable(),
  directoryId: z.string().nullable(),
  isDirectoryConfirmed: z.boolean(),
  isEnforced: z.boolean(),
  version: z.number(),
  domains: z.array(z.object({ domain: z.string(), challenge: z.string(), provenAt: z.date().nullable(), provenBy: z.string().nullable() })),
  rules: z.array(ruleShape),
  certificates: z.array(
    z.object({ fingerprint: z.string(), state: z.string(), notBefore: z.date(), notAfter: z.date(), lastUsedAt: z.date().nullable() }),
  ),
})
export type ShownConnection = z.output<typeof connectionShape>

const byId = z.object({ connectionId: uuid })
const settings = {
  name: line(100).optional(),
  vendor: z.enum(vendors).optional(),
  allowUnsolicited: z.boolean().optional(),
  jitAllowed: z.boolean().optional(),
  jitRole: z.enum(newcomerRoles).nullable().optional(),
  emailAttribute: attributeName.nullable().optional(),
  idAttribute: attributeName.nullable().optional(),
  directoryId: uuid.nullable().optional(),
}

export const administrationMethods = {
  /** Needs `sso:manage`, as all of these do; the operator passes until the tenant can decide for itself, and then while it approves. */
  connections: { input: z.object({}), output: z.array(connectionShape) },
  connection: { input: byId, output: connectionShape },
  attempts: { input: byId.extend({ first: z.int().min(1).max(100).default(20) }), output: z.array(attemptShape) },
  attempt: { input: z.object({ id: uuid }), output: attemptShape },
  create: { input: z.object({ name: line(100), vendor: z.enum(vendors).default('generic') }), output: connectionShape },
  /**
   * Changes what is given; `version` is the one that was read. A directory named by an administrator with a second factor is confirmed: its
   * own administrators come in by it too. @throws NOT_FOUND, STALE_VERSION
   */
  change: { input: byId.extend({ version: z.int(), ...settings }), output: connectionShape },
  /** Reads metadata: text, or what is at an https address. @throws METADATA_REFUSED, ENTITY_TAKEN, EGRESS_REFUSED */
  configure: { input: byId.extend({ xml: metadataXml.optional(), url: z.url().max(2_000).optional() }), output: connectionShape },
  /** All rules anew, in order. @throws ROLE_NEEDS_ADMIN, SECOND_FACTOR_NEEDED for the two roles that need an administrator */
  setRules: { input: byId.extend({ rules: z.array(ruleShape).max(200) }), output: connectionShape },
  addDomain: { input: byId.extend({ domain }), output: connectionShape },
  removeDomain: { input: byId.extend({ domain: z.string().max(253) }), output: connectionShape },
  /** Looks for the TXT record. @throws DOMAIN_NOT_PROVEN, NOT_FOUND */
  proveDomain: { input: byId.extend({ domain: z.string().max(253) }), output: connectionShape },
  /** A certificate that the provider will sign with one day: the first login that it verifies puts it in force. @throws METADATA_REFUSED */
  stageCertificate: { input: byId.extend({ pem: certificatePem }), output: connectionShape },
  activate: { input: byId, output: connectionShape },
  disable: { input: byId, output: connectionShape },
  /** A new recovery code, shown once; repeat it with `confirmRecovery` when it is stored. */
  newRecovery: { input: byId, output: z.object({ code: z.string() }) },
  confirmRecovery: { input: byId.extend({ code: secret }), output: z.object({}) },
  /** Passwords off. @throws ENFORCEMENT_TOO_SOON, INVALID_TRANSITION */
  enforce: { input: byId, output: connectionShape },
  relax: { input: byId, output: connectionShape },
  /** Lets this connection sign in somebody who was a member before; `externalId` is the NameID, or the value of `idAttribute`. */
  linkMember: { input: byId.extend({ membershipId: uuid, externalId: line(1_000) }), output: z.object({ membershipId: z.string() }) },
  /** A link to one test sign-in, shown once, for whoever shall try it; good for that connection, once, within a day. */
  createTestLink: { input: byId, output: z.object({ url: z.string() }) },
  /** A link for IT, shown once. It opens once, within `hours`, and takes back what earlier links of the connection opened. */
  createSetupLink: { input: byId.extend({ hours: z.int().min(1).max(24 * 14).default(72) }), output: z.object({ url: z.string() }) },
  /** Publishes successors of our own certificates now. Commits by itself. */
  rollKeys: { input: z.object({}), output: z.object({}) },
  /** The operator connects, vouching for metadata and domain; active at once. @throws as configure, TENANT_APPROVAL_NEEDED */
  operatorConnect: {
    input: z.object({
      name: line(100).default('SAML'),
      xml: metadataXml,
      metadataUrl: z.url().max(2_000).nullable().default(null),
      jitRole: z.enum(newcomerRoles).optional(),
      allowIdpInitiated: z.boolean().default(false),
      domain: domain.optional(),
    }),
    output: z.object({ connectionId: z.string() }),
  },
  /** The operator looks an attempt up. */
  operatorAttempt: { input: z.object({ id: uuid }), output: attemptShape },
} satisfies Methods

export type SamlAdministration = ContractOf<typeof administrationMethods>
