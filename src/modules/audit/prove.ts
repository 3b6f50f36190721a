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

export interface Sought {
  /** A tenant: other tenants' checkpoints are left out. */
  readonly about?: string
  /** Only what was signed since the day before this moment: earlier checkpoints say nothing of lines that were written later. */
  readonly since?: Date | null
}

/** More days than these are read by one listing of everything. */
const mostDays = 400
const dayMs = 86_400_000

/** What is kept outside: everything, unless told what is sought. */
export async function readAnchors(sink: Sink, { about, since = null }: Sought = {}): Promise<Anchors> {
  const checkpoints: string[] = []
  const keys: string[] = []
  for await (const object of sink.list(keyFolder)) keys.push(await object.text())
  for (const folder of foldersSince(since)) {
    for await (const object of sink.list(folder)) {
      for (const line of (await object.text()).split('\n')) {
        // Read out of the signed text as it stands there: what is left out here decides nothing, what is kept is verified.
        if (about === undefined || line.includes(about)) checkpoints.push(line)
      }
    }
  }
  return { checkpoints, keys }
}

/** A sink has a folder a day. The day before counts too, and so does tomorrow: two clocks wrote them. */
function foldersSince(since: Date | null): string[] {
  const last = Date.now() + dayMs
  const first = since === null ? Number.NEGATIVE_INFINITY : since.getTime() - dayMs
  if (last - first > mostDays * dayMs) return [checkpointFolder]
  const folders: string[] = []
  for (let at = first; at < last + dayMs; at += dayMs) folders.push(`${checkpointFolder}/${new Date(at).toISOString().slice(0, 10)}`)
  return folders
}

/** @param batches texts of batches in a row. */
export async function prove(batches: AsyncIterable<string>, anchors: Anchors, bounds: Bounds): Promise<Report> {
  async function* lines(): AsyncGenerator<string> {
    for await (const batch of batches) yield* batch.split('\n')
  }
  return verify({ lines: lines(), checkpoints: anchors.checkpoints, keys: readKeys(anchors.keys), ...bounds })
}
