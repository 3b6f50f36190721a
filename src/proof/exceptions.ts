/** What `catalogue.ts` may find and let stand, each with its reason. An entry that matches nothing is itself a violation. */
import { planes } from '../kernel/scope.ts'
import { queueSchema } from '../platform/jobs/install.ts'
import { readLoginOf, writeLoginOf, type Login } from '../platform/db/logins.ts'

export interface Exception {
  readonly rule: string
  /** As the rule names it; `schema.*` is everything in that schema. */
  readonly object: string
  readonly reason: string
}

const except = (reason: string, objects: Readonly<Record<string, readonly string[]>>): Exception[] =>
  Object.entries(objects).flatMap(([rule, names]) => names.map((object) => ({ rule, object, reason })))

const granted = (table: string, privileges: readonly string[], to: readonly Login[]): string[] =>
  privileges.flatMap((privilege) => to.map((login) => `${table} ${privilege} ${login}`))

const both = (...of: readonly (typeof planes)[number][]): Login[] => of.flatMap((plane) => [writeLoginOf(plane), readLoginOf(plane)])
const tenantless = ['tenant-column', 'primary-key', 'tenant-policy']

export const exceptions: readonly Exception[] = [
  ...['identity.signing_key', 'vault.platform_key', 'audit.checkpoint_key'].flatMap((table) =>
    except("The platform's own keys belong to no tenant; only the login that signs people in sees them.", {
      ...Object.fromEntries(tenantless.map((rule) => [rule, [table]])),
      'unique-index': [`${table} ${table.split('.')[1]}_pkey`],
    }),
  ),
  ...except('Keys that belong to no tenant are named by their own policy instead.', {
    'other-policy': ['identity.signing_key platform to maristan_auth, maristan_auth_read', 'vault.platform_key platform to maristan_auth', 'audit.checkpoint_key platform to maristan_auth'],
  }),
  ...except("The history of migrations holds no tenant's data; readiness reads it.", {
    ...Object.fromEntries([...tenantless, 'row-security'].map((rule) => [rule, ['public._prisma_migrations']])),
    'unique-index': ['public._prisma_migrations _prisma_migrations_pkey'],
  }),
  ...except("The job queue holds names of jobs and ids of tenants, belongs to no tenant, and is the worker's alone (rule queue-grant).",
    Object.fromEntries([...tenantless, 'row-security', 'unique-index', 'foreign-key'].map((rule) => [rule, [`${queueSchema}.*`]])),
  ),
  ...except("The slug is the host's first label, so it is one name for all tenants; the operator alone inserts.", {
    'unique-index': ['tenancy.tenant tenant_slug_key'],
  }),
  ...except('The owner of the pre-tenant functions sees ids and states of all tenants, and nobody can sign in as it.', {
    'other-policy': ['tenancy.tenant', 'outbox.event', 'audit.event', 'audit.link', 'audit.checkpoint', 'audit.stream', 'audit.retired', 'custody.legal_hold'].map((table) => `${table} gate to maristan_gate`),
  }),
  ...except('Asked before a tenant is known: answers ids and states alone.', {
    'definer-function': [
      'gate.tenant_by_slug(text)',
      'gate.tenant_by_id(uuid)',
      'gate.tenants()',
      'gate.tenants_with_due_events(integer)',
      'gate.active_tenants(uuid,integer)',
      'gate.streams_due(integer)',
    ],
  }),
  ...except('Answers two numbers over the whole building and names no tenant.', {
    'definer-function': ['gate.outbox_state()', 'gate.seal_state()', 'gate.stream_state(integer)'],
  }),
  ...except('Subscriptions wait for ids that changed, of every tenant somebody of this process watches; each is told its own alone.', {
    'definer-function': ['gate.changes(pg_snapshot,uuid[])'],
  }),
  ...except('The sealer sees ids, numbers and hashes of the lines of all tenants, and no line.', {
    'definer-function': [
      'gate.seal_cursor()',
      'gate.seal_floor()',
      'gate.unsealed(integer,xid8,uuid,xid8)',
      'gate.chain_heads(uuid[])',
      'gate.checkpoints_due()',
      'gate.months()',
      'gate.held_tenants()',
      'gate.retirement(timestamp with time zone,timestamp with time zone)',
    ],
  }),
  ...except("Tells an actor policy whom the caller may reach; reads inside the caller's tenant only.", {
    'definer-function': ['gate.my_recipients()', 'gate.my_parties()', 'gate.my_emergencies()', 'gate.my_disclosures(text)', 'gate.may_invite_for(uuid)'],
  }),
  ...except("Says whether a recipient is there whom the caller cannot see; the login that checks second factors asks, and the officer who holds a record.", {
    'definer-function': ['gate.found_by_mrn(integer,text[])', 'gate.recipient_exists(uuid)'],
  }),
  ...except('Says what a line is as text, and a number: neither reads a table.', {
    'gate-reach': ['audit.canonical(audit.event) EXECUTE', 'audit.epoch() EXECUTE'],
  }),
  ...except('The hashes of the chain are no secrets: they sign nobody in, and every export carries them.', {
    'secret-table': [
      ...granted('audit.link', ['SELECT', 'INSERT'], ['maristan_worker']),
      ...['audit.checkpoint', 'audit.retired'].flatMap((table) => granted(table, ['SELECT', 'INSERT'], ['maristan_worker'])),
      ...granted('audit.retired', ['SELECT'], ['maristan_operator', ...both('console')]),
      'audit.retired.row_hash SELECT maristan_gate',
      ...granted('audit.link', ['SELECT'], ['maristan_operator', ...both('console')]),
      ...granted('audit.checkpoint', ['SELECT'], ['maristan_operator']),
      'audit.link.row_hash SELECT maristan_gate',
    ],
  }),
  ...except('A person sees their own sessions; the actor policy narrows the rows to theirs.', {
    'secret-table': granted('identity.session', ['SELECT'], both('console', 'clinician', 'consumer', 'courier', 'seller')),
  }),
  ...except('Invitations are listed by those who may invite; the token is stored as a hash of 256 random bits.', {
    'secret-table': [
      ...granted('identity.invitation', ['SELECT'], both('console', 'consumer', 'seller', 'integrator')),
      ...granted('identity.invitation', ['SELECT', 'INSERT', 'UPDATE'], ['maristan_operator']),
    ],
  }),
  ...except('API tokens are listed by those who manage them and made by the operator; stored as a hash of 256 random bits.', {
    'secret-table': [
      ...granted('identity.api_token', ['SELECT'], both('console', 'integrator')),
      ...granted('identity.api_token', ['SELECT', 'INSERT'], ['maristan_operator']),
    ],
  }),
  ...except('The operator learns whether a first administrator has ever signed in, and nothing else of a session.', {
    'column-grant': ['tenant_id', 'id', 'membership_id'].map((column) => `identity.session.${column} maristan_operator`),
  }),
  ...except("An administrator withdraws an approval of the operator's and changes nothing else of it.", {
    'column-grant': ['withdrawn_by', 'withdrawn_at'].map((column) => `tenancy.operator_approval.${column} maristan_console`),
  }),
  ...except('A compliance officer lifts a legal hold and changes nothing else of it; an administrator takes an offboarding back.', {
    'column-grant': [
      ...['lifted_by', 'lifted_at'].map((column) => `custody.legal_hold.${column} maristan_console`),
      ...['state', 'ended_by', 'ended_at'].map((column) => `custody.offboarding.${column} maristan_console`),
    ],
  }),
  ...except('A directory ends sessions, invitations and flags tokens: it sees when they end and never what signs anybody in.', {
    'column-grant': [
      ...['tenant_id', 'id', 'membership_id', 'plane', 'expires_at', 'revoked_at', 'revoked_reason'].map((one) => `identity.session.${one}`),
      ...['tenant_id', 'id', 'created_by', 'revoked_at', 'expires_at', 'flagged_at'].map((one) => `identity.api_token.${one}`),
      ...['tenant_id', 'id', 'email', 'role', 'provider_org_id', 'state', 'version', 'updated_at'].map((one) => `identity.invitation.${one}`),
    ].map((column) => `${column} maristan_directory`),
  }),
  ...except('A directory notes when its token was last used, asks whether it holds, and does not see the hash.', {
    'column-grant': ['tenant_id', 'id', 'last_used_at', 'connection_id', 'expires_at', 'revoked_at'].map(
      (one) => `scim.token.${one} maristan_directory`,
    ),
  }),
  ...except('SCIM tokens are listed by those who manage them and made by the operator; stored as a hash of 256 random bits.', {
    'secret-table': [
      ...granted('scim.token', ['SELECT'], both('console')),
      ...granted('scim.token', ['SELECT', 'INSERT'], ['maristan_operator']),
    ],
  }),
  ...except('The operator sets a first password and never reads one.', {
    'secret-table': granted('identity.credential', ['INSERT'], ['maristan_operator']),
  }),
  ...except('Wrapped keys open nothing without the key-encryption key; the planes that show or write personal data unwrap them.', {
    'secret-table': [
      ...granted('vault.tenant_key', ['SELECT'], both('console', 'clinician', 'consumer', 'courier')),
      ...granted('vault.tenant_key', ['SELECT', 'INSERT'], ['maristan_operator']),
      ...granted('vault.subject_key', ['SELECT'], both('console', 'clinician', 'consumer', 'courier')),
      ...granted('vault.subject_key', ['INSERT'], ['maristan_console', 'maristan_clinician', 'maristan_consumer']),
      ...granted('vault.lookup_key', ['SELECT'], both('console', 'clinician', 'consumer', 'courier')),
    ],
  }),
  ...except('Whoever seals counts it in the key\'s row, and changes nothing else there; a trigger lets the count only grow.', {
    'column-grant': ['tenant_key', 'subject_key'].flatMap((table) =>
      ['console', 'clinician', 'consumer', 'courier', 'auth'].map((login) => `vault.${table}.seals maristan_${login}`),
    ),
  }),
  ...except('Where a trail is streamed to, and how far, is a setting beside the trail and no line of it.', {
    'append-only-trigger': ['audit.stream'],
    'append-only-grant': [
      ...granted('audit.stream', ['UPDATE'], ['maristan_console']),
      ...granted('audit.stream', ['UPDATE'], ['maristan_worker', 'maristan_operator']),
    ],
  }),
  ...except('A seller reads the envelopes that are disclosed to it and the keys they open with, by policies that end with the grant; and nothing beside.', {
    'secret-table': ['tenant_key', 'subject_key'].map((table) => `vault.${table}.wrapped SELECT maristan_seller_read`),
    'column-grant': [
      ...['tenant_id', 'id', 'phi'].map((column) => `care.recipient.${column}`),
      ...['tenant_id', 'version', 'wrapped', 'kek_id'].map((column) => `vault.tenant_key.${column}`),
      ...['tenant_id', 'subject_id', 'tenant_key_version', 'wrapped', 'state', 'seals'].map((column) => `vault.subject_key.${column}`),
    ].map((column) => `${column} maristan_seller_read`),
  }),
  ...except('Keys turn, are watched and are destroyed in the background; no plane changes one.', {
    'secret-table': [
      ...granted('vault.tenant_key', ['SELECT', 'INSERT', 'UPDATE'], ['maristan_worker']),
      ...granted('vault.lookup_key', ['SELECT', 'INSERT', 'UPDATE'], ['maristan_worker']),
      ...granted('vault.subject_key', ['SELECT', 'UPDATE'], ['maristan_worker']),
    ],
  }),
]
