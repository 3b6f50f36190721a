/** From hops to people: the way from each party to the recipient, and what the whole of it carries. Pure. */
import { capabilities, type Capability } from '../rules.ts'

/** One party of a network and the hop from it towards the recipient; nearest parties first. */
export interface Hop {
  readonly partyId: string
  /** The next party on the way; null for the recipient's own. */
  readonly parentId: string | null
  readonly distance: number
  readonly capabilities: readonly string[]
  readonly relations: readonly string[]
  readonly legalGuardian: boolean
}

export interface Member {
  partyId: string
  distance: number
  path: string[]
  capabilities: Capability[]
  combined: Capability[]
  relations: string[]
  legalGuardian: boolean
}

/** The members of a network out of its hops, at most `most`. @throws when a hop comes before the party it leads to. */
export function membersOf(hops: readonly Hop[], most: number): { members: Member[]; truncated: boolean } {
  const byParty = new Map<string, Member>()
  for (const hop of hops.slice(0, most)) {
    const { partyId, parentId, distance, legalGuardian } = hop
    const carried = capabilities.filter((one) => hop.capabilities.includes(one))
    const parent = parentId === null ? null : byParty.get(parentId)
    if (parent === undefined) throw new Error('A hop of a care network leads to a party that has not been met.')
    // The recipient's own party is nobody's grant: a direct hop carries what it says, a longer way what all its hops say.
    const combined = parent && parent.distance > 0 ? carried.filter((one) => parent.combined.includes(one)) : carried
    byParty.set(partyId, {
      partyId,
      distance,
      path: [partyId, ...(parent?.path ?? [])],
      capabilities: carried,
      combined,
      relations: [...hop.relations].sort(),
      legalGuardian,
    })
  }
  return { members: [...byParty.values()], truncated: hops.length > most }
}
