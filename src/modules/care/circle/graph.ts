/** The circle in the graph: its records, what may be done with them, and the network around a recipient. */
import { queryFromInfo } from '@pothos/plugin-prisma'
import type { Clock } from '../../../kernel/clock.ts'
import type { Builder } from '../../../platform/graphql/builder.ts'
import { encodeGlobalId } from '../../../platform/graphql/global-id.ts'
import { idArgument } from '../../../platform/graphql/id-argument.ts'
import { planesOf } from '../../access/contract.ts'
import { defaultDepth, maxDepth, maxNetworkParties, type Care, type NetworkMember } from '../contract.ts'
import type { CareRepo } from '../repo.ts'
import type { CareSeals } from '../sealed.ts'
import { circleCommands } from './commands.ts'
import { circleNodes } from './nodes.ts'
import type { CircleRepo } from './repo.ts'

/** What care's graph stands on. */
export interface CareGraphParts {
  readonly contract: Care
  readonly repo: CareRepo
  readonly circle: CircleRepo
  readonly seals: CareSeals
  readonly clock: Clock
}

const readPermission = 'network:read'

export function circleGraph(builder: Builder, { contract: care, circle, seals, clock }: CareGraphParts) {
  const nodes = circleNodes(builder, { seals, clock })
  const { Party, Capability } = nodes
  const subGraphs = [...planesOf(readPermission)]

  type MemberRow = NetworkMember & { readonly party: { id: string } | null }
  const Member = builder.objectRef<MemberRow>('CareNetworkMember').implement({
    subGraphs,
    fieldAccess: { permission: readPermission },
    fields: (t) => ({
      party: t.field({ type: Party, nullable: true, resolve: (member) => member.party }),
      distance: t.exposeInt('distance', { description: 'Hops to the recipient; 0 is the recipient.' }),
      path: t.field({
        type: ['ID'],
        description: 'The parties from this one to the recipient, both included.',
        resolve: (member) => member.path.map((id) => encodeGlobalId('CareParty', id)),
      }),
      capabilities: t.field({
        type: [Capability],
        description: 'What the hop from this party carries.',
        resolve: (member) => member.capabilities,
      }),
      combined: t.field({ type: [Capability], description: 'What every hop of the path carries.', resolve: (member) => member.combined }),
      relations: t.exposeStringList('relations'),
      legalGuardian: t.exposeBoolean('legalGuardian'),
    }),
  })
  const Network = builder.objectRef<{ depth: number; truncated: boolean; members: MemberRow[] }>('CareNetwork').implement({
    description: 'Who is around a recipient, nearest first.',
    subGraphs,
    fieldAccess: { permission: readPermission },
    fields: (t) => ({
      depth: t.exposeInt('depth'),
      truncated: t.exposeBoolean('truncated', {
        description: `True when more was asked than ${maxDepth} hops, or there is more than ${maxNetworkParties} parties.`,
      }),
      members: t.field({ type: [Member], resolve: (network) => network.members }),
    }),
  })
  builder.queryField('careNetwork', (t) =>
    t.field({
      type: Network,
      nullable: true,
      access: { permission: readPermission },
      subGraphs,
      extensions: { cost: maxNetworkParties },
      args: {
        recipientId: t.arg.id({ required: true }),
        depth: t.arg.int({ description: `Hops, 1 to ${maxDepth}; ${defaultDepth} when left out.` }),
      },
      resolve: async (_, { recipientId, depth }, context, info) => {
        const input = { recipientId: idArgument('CareRecipient', recipientId), ...(depth === null || depth === undefined ? {} : { depth }) }
        const network = await care.network(context.scope, input)
        const query = queryFromInfo({ context, info, typeName: 'CareParty', path: ['members', 'party'] })
        const rows = await circle.graphParties(context.scope, query, network.members.map(({ partyId }) => partyId))
        const byId = new Map(rows.map((row) => [row.id, row]))
        return { ...network, members: network.members.map((member) => ({ ...member, party: byId.get(member.partyId) ?? null })) }
      },
    }),
  )

  circleCommands(builder, nodes, care)
  return nodes
}
