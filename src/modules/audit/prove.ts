/** Verifies a trail as an auditor does: with the verifier that runs anywhere, against what is kept outside the database. */
import { readKeys, verify, type Report } from '../../../verifier/maristan-audit-verify.mjs'
import { checkpointFolder, keyFolder } from '../../platform/ledger/checkpoint.ts'
import type { Sink } from '../../platform/ledger/sink.ts'

export type { Report }

/** Where the batches begin and end: anywhere, or where the chain does. */
export interface Bounds {
  readonly from: 'start' | 'anywhere'
  readonly to: 'end' | 'anywhere'
}

export interface Anchors {
  readonly checkpoints: readonly string[]
  readonly keys: readonly string[]
}

/** Everything that is kept outside. @param about a tenant: other tenants' checkpoints are left out. */
export async function readAnchors(sink: Sink, about: string | null = null): Promise<Anchors> {
  const checkpoints: string[] = []
  const keys: string[] = []
  for await (const object of sink.list(keyFolder)) keys.push(await object.text())
  for await (const object of sink.list(checkpointFolder)) {
    for (const line of (await object.text()).split('\n')) {
      // Read out of the signed text as it stands there: what is left out here decides nothing, what is kept is verified.
      if (about === null || line.includes(about)) checkpoints.push(line)
    }
  }
  return { checkpoints, keys }
}

/** @param batches texts of batches in a row. */
export async function prove(batches: AsyncIterable<string>, anchors: Anchors, bounds: Bounds): Promise<Report> {
  async function* lines(): AsyncGenerator<string> {
    for await (const batch of batches) yield* batch.split('\n')
  }
  return verify({ lines: lines(), checkpoints: anchors.checkpoints, keys: readKeys(anchors.keys), ...bounds })
}
