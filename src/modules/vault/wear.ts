/**
 * How often a key may seal, and how that is counted. AES-GCM with random nonces bears 2^32 seals a key (NIST SP 800-38D §8.3); a quarter of that
 * is the limit here. Nobody writes a count for every seal: each draws, and one in 4096 counts for all of them. At the limit the count is right
 * within a hundredth (its deviation is 0.2 %), far from the 2^32 it guards. A key at the limit seals no more; it opens as before.
 */
import { keysUnavailable } from '../../platform/crypto/kms.ts'

/** Seals of one key: at this many it seals no more. */
export const mostSeals = 2 ** 30
/** From here on a tenant's data key turns, though its ninety days are not over: hours of wrapping at full speed before the limit. */
export const wornSeals = 2 ** 29
export const sealsADraw = 4_096

/** How many seals to count for `seals` that were made: nearly always 0. */
export function drawSeals(seals: number, draw: () => number = Math.random): number {
  let counted = 0
  for (let n = 0; n < seals; n++) if (draw() * sealsADraw < 1) counted += sealsADraw
  return counted
}

/** @throws KEYS_UNAVAILABLE for a key that has sealed as often as it may. */
export function refuseWorn({ seals }: { readonly seals: number }): void {
  if (seals < mostSeals) return
  throw keysUnavailable({ reason: 'A key has sealed as often as it may. A data key turns by itself or by keys rotate; of a person\'s see docs/vault.md.' })
}
