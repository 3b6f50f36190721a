/** Members and the people behind them, as nodes. Which of them a caller reaches is decided by the database's policies. */
import { MembershipStatus } from '../../platform/db/generated/enums.ts'
import type { Builder } from '../../platform/graphql/builder.ts'

export function identityNodes(builder: Builder) {
  const Status = builder.enumType('MembershipStatus', { values: Object.values(MembershipStatus) })

  const IdentityNode = builder.prismaNode('Identity', {
    id: { resolve: ({ id }) => id },
    findUnique: (id, { caller: { tenantId } }) => ({ tenantId_id: { tenantId, id } }),
    nullable: true,
    select: { id: true },
    extensions: { nodePermission: 'user:read' },
    fieldAccess: 'authenticated',
    fields: (t) => ({
      email: t.string({
        nullable: true,
        description: 'Null for those who may not read other people.',
        select: { email: true },
        resolve: ({ id, email }, _, { caller: { actor, permissions } }) =>
          permissions.has('user:read') || (actor.kind === 'member' && actor.identityId === id) ? email : null,
      }),
    }),
  })

  const Membership = builder.prismaNode('Membership', {
    id: { resolve: ({ id }) => id },
    findUnique: (id, { caller: { tenantId } }) => ({ tenantId_id: { tenantId, id } }),
    nullable: true,
    select: { id: true },
    extensions: { nodePermission: 'user:read' },
    fieldAccess: 'authenticated',
    fields: (t) => ({
      role: t.exposeString('role'),
      plane: t.exposeString('plane'),
      status: t.expose('status', { type: Status }),
      identity: t.relation('identity'),
    }),
  })

  return { IdentityNode, Membership, Status }
}

export type IdentityNodes = ReturnType<typeof identityNodes>
