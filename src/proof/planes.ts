/**
 * The pinned tests of plane isolation, by construction: every ordered pair of the four client planes times eight checks, four positive
 * controls and three structural ones make 103. The console's pairs come on top.
 */
import { clientPlanes, type Plane } from '../kernel/scope.ts'

/** What of one plane must be worth nothing on another. `built: false`: its subject does not exist yet. */
export const planeChecks = [
  { check: 'access token', built: true },
  { check: 'refresh token', built: true },
  { check: 'cookie', built: true },
  { check: 'absent field', built: true },
  { check: 'subscription', built: true },
  { check: 'persisted operation', built: false },
  { check: 'signed link', built: false },
  { check: 'import', built: true },
] as const

export type PlaneCheck = (typeof planeChecks)[number]['check']

export const structuralChecks = ['keys distinct', 'cookies distinct', 'clients without shared code'] as const

export interface PlanePair {
  readonly from: Plane
  readonly to: Plane
}

const pairsOf = (these: readonly Plane[], those: readonly Plane[]): PlanePair[] =>
  these.flatMap((from) => those.filter((to) => to !== from).map((to) => ({ from, to })))

/** The twelve ordered pairs of the client planes. */
export const clientPairs: readonly PlanePair[] = pairsOf(clientPlanes, clientPlanes)

/** The console's eight: to and from each client plane. */
export const consolePairs: readonly PlanePair[] = [...pairsOf(['console'], clientPlanes), ...pairsOf(clientPlanes, ['console'])]

/** Counts of the pinned client-plane tests. */
export function planeTestCounts(): { total: number; built: number; unbuilt: { check: PlaneCheck; tests: number }[] } {
  const unbuilt = planeChecks.filter(({ built }) => !built).map(({ check }) => ({ check, tests: clientPairs.length }))
  const total = clientPairs.length * planeChecks.length + clientPlanes.length + structuralChecks.length
  return { total, built: total - unbuilt.reduce((sum, { tests }) => sum + tests, 0), unbuilt }
}
