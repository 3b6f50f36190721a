/** Reach over members and invitations, as the database filter it means. An unknown reach matches nothing. */
import type { Prisma } from '../../platform/db/generated/client.ts'
import type { MemberReach } from './reach.ts'

const nothing = { id: { in: [] } }

export function membersWithin(reach: MemberReach): Prisma.MembershipWhereInput {
  if (reach.rows === 'tenant') return {}
  return reach.rows === 'organisation' ? { providerOrgId: reach.providerOrgId } : nothing
}

export function invitationsWithin(reach: MemberReach): Prisma.InvitationWhereInput {
  if (reach.rows === 'tenant') return {}
  if (reach.rows === 'organisation') return { providerOrgId: reach.providerOrgId }
  return reach.rows === 'own' ? { invitedBy: reach.membershipId } : nothing
}
