/** Runs a rotation that is due to its end, or as far as its time allows; the next one goes on there. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Unit } from '../../platform/db/unit.ts'
import type { Rotation } from './rotation.ts'

const batchSize = 500
/** Within what a run of a job may take. */
const workMs = 180_000

export async function rotateWhenDue(rotation: Rotation, open: () => Unit): Promise<void> {
  const reading = open()
  if (!(await reading.read(() => rotation.isDue(reading.scope)))) return
  const endMs = performance.now() + workMs
  await open().command((scope) => rotation.start(scope))
  while (performance.now() < endMs) {
    const { state } = await open().command((scope) => rotation.batch(scope, batchSize))
    if (state === 'DONE') return
    if (state === 'SETTLING') await pause(1_000)
  }
}
