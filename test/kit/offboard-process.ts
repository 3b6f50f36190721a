/** A process that carries out a tenant's leaving and kills itself (SIGKILL: nothing of it is told, nothing is tidied up) at a word of its progress. */
import { offboard } from '../../src/operator/offboard.ts'
import { withHouse } from '../../src/operator/open.ts'

const [slug, out, backupsUntil, killAt] = process.argv.slice(2) as [string, string, string, string]
await withHouse(async (opened) => {
  const progress = (what: string): void => {
    if (what.includes(killAt)) process.kill(process.pid, 'SIGKILL')
  }
  await offboard(opened, { slug, out, backupsUntil, progress, graceMs: 0 })
})
