/**
 * The permission matrix: 7 roles by 58 permissions, as reviewed data. It decides nothing (`rules.ts` does) and no tenant can bend it:
 * who holds which role is a row, what a role may do is this file. Its golden copy is `matrix.golden.txt`.
 */

/** The roles, in the order of the matrix's columns. Platform operators are none of them. */
export const roles = [
  'tenant_admin',
  'compliance_officer',
  'care_coordinator',
  'clinician',
  'caregiver',
  'provider_manager',
  'family',
] as const
export type Role = (typeof roles)[number]

/**
 * How far a granted permission reaches:
 * `T` any row of the tenant; `N` rows of recipients whose care network contains me, while the link is valid;
 * `O` rows of my provider organisation; `S` my own rows, or those of the recipient I am or legally represent;
 * `G` only the fields named in a live disclosure grant.
 */
export type Reach = 'T' | 'N' | 'O' | 'S' | 'G'

// One row a permission: its key, one letter a role (`-` denied), the operations it guards (`@phi`: every field of that mark).
const rows = {
  tenant: [
    ['tenant:read', 'TTT----', 'tenantSettings'],
    ['tenant:update', 'T------', 'updateTenant'],
    ['theme:update', 'T------', 'publishTheme', 'publishContentPage'],
    ['flag:read', 'TT-----', 'featureFlags'],
    ['flag:update', 'T------', 'setFlagOverride'],
    ['user:read', 'TTT--O-', 'members'],
    ['user:invite', 'T-T--ON', 'inviteMember'],
    ['user:update', 'T----O-', 'updateMember'],
    ['user:deactivate', 'T----O-', 'deactivateMember'],
    ['role:assign', 'T------', 'assignRole'],
    ['sso:manage', 'T------', 'configureSsoConnection', 'setScimRoleRules'],
    ['token:manage', 'T------', 'createApiToken', 'rotateScimToken'],
    ['webhook:manage', 'T------', 'createWebhookEndpoint', 'replayWebhook'],
  ],
  network: [
    ['recipient:read', '-TTNN-S', 'recipient', 'recipients'],
    ['recipient:create', '--T---S', 'createRecipient'],
    ['recipient:update', '--TN--S', 'updateRecipient'],
    ['recipient:archive', '--T----', 'archiveRecipient'],
    ['network:read', '-TTNN-S', 'careNetwork'],
    ['network:manage', '--TN--S', 'linkParty', 'endLink'],
    ['consent:manage', '--T---S', 'grantConsent', 'withdrawConsent'],
  ],
  clinical: [
    ['phi:read', '--TNNGS', '@phi'],
    ['phi:write', '--TNN--', 'recordObservation', 'updatePhi'],
    ['phi:export', '-T-N--S', 'requestPhiExport'],
    ['phi:break_glass', '-T-T---', 'openBreakGlass'],
    ['careplan:read', '--TNN-S', 'carePlan'],
    ['careplan:write', '--TN---', 'createCarePlan', 'reviseCarePlan'],
    ['note:write', '---NN--', 'draftNote'],
    ['note:sign', '---N---', 'signNote', 'amendNote'],
    ['appointment:manage', '--TN--S', 'bookAppointment', 'rescheduleAppointment'],
  ],
  market: [
    ['listing:read', 'TTTTTTT', 'listings', 'searchListings', 'provider'],
    ['listing:write', '-----O-', 'upsertListing', 'setOffer', 'updateOwnProvider'],
    ['listing:moderate', 'T-T----', 'suspendListing'],
    ['promotion:write', '-----O-', 'createPromotion'],
    ['promotion:approve', 'T-T----', 'decidePromotion'],
    ['provider:approve', 'TT-----', 'decideProvider', 'suspendProvider'],
    ['request:read', '-TTN-TS', 'serviceRequest', 'serviceRequests'],
    ['request:create', '--TN--S', 'publishServiceRequest'],
    ['request:cancel', '--T---S', 'cancelServiceRequest'],
    ['bid:read', '-TT--OS', 'bids'],
    ['bid:submit', '-----O-', 'submitBid', 'reviseBid', 'withdrawBid'],
    ['bid:accept', '--T---S', 'acceptBid', 'counterBid', 'declineBid'],
    ['order:place', '--T---S', 'placeOrder'],
    ['order:read', 'TTT-SOS', 'order', 'orders'],
    ['order:update', '--T--OS', 'confirmOrder', 'cancelOrder'],
    ['order:refund', 'T-T----', 'refundOrder'],
  ],
  delivery: [
    ['visit:read', '-TTNSOS', 'visit', 'visits'],
    ['visit:dispatch', '--T--O-', 'assignVisit', 'rescheduleVisit'],
    ['visit:perform', '----S--', 'checkIn', 'addProof', 'checkOut', 'failVisit'],
    ['media:read', '-TTNNOS', 'media', 'reels', 'voiceNote'],
    ['media:publish', '--TNSOS', 'startUpload', 'publishReel', 'postVoiceNote'],
    ['media:moderate', '-TT----', 'decideMediaReport'],
  ],
  governance: [
    ['ai:invoke', '--TNNOS', 'askAssistant', 'assistantStream'],
    ['policy:manage', '-T-----', 'bindPolicyModule', 'setPolicyMode'],
    ['model:manage', 'T------', 'upsertModelRoute', 'setModelBudget'],
    ['review:read', '-TTN---', 'reviewQueue', 'reviewItem'],
    ['review:decide', '-T-N---', 'claimReview', 'decideReview'],
  ],
  audit: [
    ['audit:read', 'TT----S', 'auditEvents', 'accountingOfDisclosures'],
    ['audit:export', '-T-----', 'exportAudit', 'verifyAuditChain'],
  ],
} as const

type Rows = typeof rows
export type PermissionGroup = keyof Rows
export type Permission = Rows[PermissionGroup][number][0]

export interface PermissionRow {
  /** `resource:action`, unique. */
  readonly key: Permission
  readonly group: PermissionGroup
  /** Root fields that need this permission; `@phi` stands for every field that opens sealed health data. */
  readonly operations: readonly string[]
  readonly cells: Readonly<Record<Role, Reach | null>>
}

function isReach(letter: string | undefined): letter is Reach {
  return letter !== undefined && letter.length === 1 && 'TNOSG'.includes(letter)
}

function cellsOf(key: string, letters: string): Record<Role, Reach | null> {
  if (letters.length !== roles.length) throw new Error(`Permission ${key} needs one letter a role.`)
  const cell = (column: number): Reach | null => {
    const letter = letters[column]
    if (letter === '-') return null
    if (!isReach(letter)) throw new Error(`Permission ${key} has the unknown letter ${letter}.`)
    return letter
  }
  return Object.fromEntries(roles.map((role, column) => [role, cell(column)])) as Record<Role, Reach | null>
}

/** Every permission in the order of the groups. */
export const matrix: readonly PermissionRow[] = (Object.keys(rows) as PermissionGroup[]).flatMap((group) =>
  rows[group].map(([key, letters, ...operations]) =>
    Object.freeze({ key, group, operations: Object.freeze(operations), cells: Object.freeze(cellsOf(key, letters)) }),
  ),
)
