/** Who reaches whom in a care network, and what may be linked. Pure: a clock or a row is an argument, an unknown word gets nothing. */
import { fault } from '../../kernel/fault.ts'
import { machine } from '../../kernel/machine.ts'
import type { Reach } from '../access/contract.ts'

/** What a link grants: to see that the record is there, to open its protected fields, to change it, to change its network. */
export const capabilities = ['VIEW', 'PHI', 'EDIT', 'MANAGE'] as const
export type Capability = (typeof capabilities)[number]

/** The capability that a link must carry for each permission of this module, where the permission reaches only one's network. */
export const capabilityNeededFor = {
  'recipient:read': 'VIEW',
  'network:read': 'VIEW',
  'recipient:update': 'EDIT',
  'phi:read': 'PHI',
  'phi:write': 'EDIT',
  'network:manage': 'MANAGE',
  'consent:manage': 'MANAGE',
} as const satisfies Record<string, Capability>
export type NetworkPermission = keyof typeof capabilityNeededFor

export const selfGrant = fault('denied', 'SELF_GRANT', 'Nobody grants something to themselves. Ask somebody else to make this link.')
export const linkRefused = fault<{ reason: string }>('denied', 'LINK_REFUSED', ({ reason }) => reason)
export const capabilityMissing = fault<{ capability: Capability }>(
  'denied',
  'CAPABILITY_MISSING',
  ({ capability }) => `Your link to this recipient does not carry ${capability}.`,
)

/** How the caller stands to one recipient now. Absent: not at all. */
export interface Standing {
  /** The caller is the recipient. */
  readonly self: boolean
  /** A live link makes the caller the recipient's legal guardian. */
  readonly guardian: boolean
  /** What the caller's live, direct links carry. */
  readonly capabilities: readonly string[]
}

/**
 * Whether a permission that reaches this far covers a recipient. `missing`: the recipient is in the caller's network, but no live
 * link carries the capability. `hidden`: as good as not there.
 */
export function covers(reach: Reach | null, standing: Standing | undefined, capability: Capability): 'covered' | 'missing' | 'hidden' {
  switch (reach) {
    case 'T':
      return 'covered'
    case 'N':
      if (!standing || standing.capabilities.length === 0) return 'hidden'
      return standing.capabilities.includes(capability) ? 'covered' : 'missing'
    case 'S':
      return standing && (standing.self || standing.guardian) ? 'covered' : 'hidden'
    default:
      return 'hidden'
  }
}

export const recipientMachine = machine({
  initial: 'ACTIVE',
  moves: [{ from: 'ACTIVE', event: 'archive', to: 'ARCHIVED' }],
})

export const consentMachine = machine({
  initial: 'REQUESTED',
  moves: [
    { from: 'REQUESTED', event: 'grant', to: 'GRANTED' },
    { from: ['REQUESTED', 'GRANTED'], event: 'withdraw', to: 'WITHDRAWN' },
    { from: ['REQUESTED', 'GRANTED'], event: 'expire', to: 'EXPIRED' },
  ],
})
export type ConsentStateName = (typeof consentMachine.states)[number]

/** A consent's state at a moment: time ends a consent without anybody writing it down. */
export function consentStateAt(
  consent: { readonly state: ConsentStateName; readonly validTo: Date | null },
  nowMs: number,
): ConsentStateName {
  const over = consent.validTo !== null && consent.validTo.getTime() <= nowMs
  return over && consentMachine.can(consent.state, 'expire') ? consentMachine.next(consent.state, 'expire') : consent.state
}

/** Whether a period that begins at `validFrom` and ends before `validTo` holds at a moment. */
export function isLive(period: { readonly validFrom: Date; readonly validTo: Date | null }, nowMs: number): boolean {
  return period.validFrom.getTime() <= nowMs && (period.validTo === null || period.validTo.getTime() > nowMs)
}

/** What a new link wants to grant, and how the one who makes it stands to the recipient it leads to. */
export interface WantedLink {
  readonly reach: Reach | null
  readonly standing: Standing | undefined
  /** The party that gains: is it the caller's own, and of what kind? */
  readonly fromIsCaller: boolean
  readonly fromKind: string
  /** Null when the link leads to somebody who is no recipient: it grants nothing, and only the tenant's staff draws it. */
  readonly toRecipientId: string | null
  readonly capabilities: readonly Capability[]
  readonly legalGuardian: boolean
}

/** @throws SELF_GRANT, CAPABILITY_MISSING or LINK_REFUSED unless the link may be made. */
export function refuseLink(link: WantedLink): void {
  if (link.fromIsCaller) throw selfGrant()
  if (link.legalGuardian && link.fromKind !== 'FAMILY') throw linkRefused({ reason: 'A legal guardian is a party of kind FAMILY.' })
  if (link.legalGuardian && link.toRecipientId === null) throw linkRefused({ reason: 'A legal guardian represents a recipient.' })
  if (link.reach === 'T') return
  if (link.toRecipientId === null) throw linkRefused({ reason: 'You may link others to recipients only.' })
  if (link.legalGuardian) throw linkRefused({ reason: 'Who is a legal guardian is recorded by a care coordinator.' })
  if (link.reach === 'N') {
    const excess = link.capabilities.filter((one) => !link.standing?.capabilities.includes(one))
    if (excess.length > 0) throw linkRefused({ reason: `You cannot grant what your own link does not carry: ${excess.join(', ')}.` })
  }
}

/** The capabilities in their fixed order, each once; every link lets its holder see that the record is there. */
export function settledCapabilities(wanted: readonly Capability[]): Capability[] {
  return capabilities.filter((one) => one === 'VIEW' || wanted.includes(one))
}

/** The year of a birth date as ISO text: the only part of it that stays readable. */
export function birthYearOf(birthDate: string | undefined): number | null {
  return birthDate === undefined ? null : Number(birthDate.slice(0, 4))
}
