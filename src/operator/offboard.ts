/**
 * Carries out what a tenant's administrator asked for, step by step; each step is written down when it is done, and a run that was cut
 * off goes on there. The door is shut, the tenant exported to its own key and the file read back, its keys destroyed, its rows swept, and
 * what was done certified. Refuses before the waiting period is over, under a legal hold, and without the export at hand.
 */
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { Custody, OffboardingView } from '../modules/governance/custody/contract.ts'
import { offboardingNotAsked } from '../modules/governance/custody/contract.ts'
import type { Tenancy } from '../modules/tenancy/contract.ts'
import type { Vault } from '../modules/vault/contract.ts'
import { workerLogin } from '../platform/db/logins.ts'
import { withClient } from '../platform/db/provision.ts'
import { fingerprintOf, registerBackup, whileWriting } from './backups.ts'
import { certify } from './certify.ts'
import { ownerOf, voucherOf } from './commands-archive.ts'
import { sumOf } from './file-sum.ts'
import type { Opened } from './open.ts'
import { operatorCaller, tenantIdOf } from './operator-scope.ts'
import { publicKeyOf } from './sealed-to-key.ts'
import { exportTenant } from './tenant-archive.ts'
import { endSessions, isBusySince, keptTables, sweepTenant } from './tenant-sweep.ts'

export interface OffboardOptions {
  readonly slug: string
  /** Where the export goes; when the run goes on after it, where it lies. */
  readonly out: string | undefined
  /** RFC 3339; null: there are no backups. Undefined where it was said in a run before. */
  readonly backupsUntil: string | null | undefined
  readonly progress: (what: string) => void
  /** How long doors may remember that the tenant's was open, in milliseconds. */
  readonly graceMs?: number
}

/** Other processes look at a tenant's state every 2 s. */
const doorMemoryMs = 3_000
const shredBatch = 5_000

interface ExportFacts {
  readonly sha256: string
  readonly bytes: number
  readonly rows: number
  readonly tables: number
}

interface Run extends OffboardOptions {
  readonly opened: Opened
  readonly tenantId: string
  readonly custody: Custody
}

type Step = (run: Run, now: OffboardingView) => Promise<OffboardingView>

const unitOf = ({ opened, tenantId }: Run) => opened.foundation.database.unit(operatorCaller(tenantId))
const asOwner = <T>({ opened }: Run, work: (client: pg.Client) => Promise<T>): Promise<T> => withClient(ownerOf(opened), work)

const advance = (run: Run, input: Parameters<Custody['advanceOffboarding']>[1]): Promise<OffboardingView> =>
  unitOf(run).command((scope) => run.custody.advanceOffboarding(scope, input))

const shutDoor: Step = async (run, { isDue }) => {
  // Asked for before anything is done: the door must not be shut by a run that cannot go on.
  if (isDue && run.out === undefined) throw new Error('Name the file of the last export: --out <path>.')
  if (isDue && run.backupsUntil === undefined) throw new Error('Say until when backups made so far are kept: --backups-until <date>, or none.')
  const tenancy = run.opened.house.made['tenancy']!.contract as Tenancy
  const shut = await unitOf(run).command(async (scope) => {
    const moved = await run.custody.advanceOffboarding(scope, { to: 'CLOSED', facts: { backupsUntil: run.backupsUntil ?? null } })
    await tenancy.setSuspended(scope, { suspended: true })
    return moved
  })
  await asOwner(run, (client) => endSessions(client, run.tenantId))
  return shut
}

const takeOut: Step = async (run, now) => {
  const { out, tenantId, slug, opened, progress } = run
  if (out === undefined) throw new Error('Name the file of the last export: --out <path>.')
  const sessions = await asOwner(run, async (client) => {
    const since = new Date(Date.parse(now.closedAt!) + (run.graceMs ?? doorMemoryMs))
    while (await isBusySince(client, since)) {
      progress('waiting for whoever is still at work')
      await pause(200)
    }
    // Whoever came in while a door still remembered it open is out too.
    return endSessions(client, tenantId)
  })
  await unitOf(run).command(async (scope) =>
    scope.unit.record({ action: 'tenant.exported', resource: 'Tenant', resourceId: tenantId, outcome: 'done' }),
  )
  const [ownerUrl, recipient, madeAt] = [ownerOf(opened), publicKeyOf(now.exportKey), new Date()]
  const { tables, bytes, sha256 } = await whileWriting(ownerUrl, async () => {
    const report = await exportTenant({ ownerUrl, file: out, tenantId, slug, recipient, voucher: voucherOf(opened), progress })
    await registerBackup({ ownerUrl, tenantId, madeAt, keepUntil: null, openedBy: `X25519 ${fingerprintOf(recipient)}`, file: out })
    return report
  })
  const rows = tables.reduce((sum, one) => sum + one.rows, 0)
  return advance(run, { to: 'EXPORTED', facts: { sessions, export: { sha256, bytes, rows, tables: tables.length } satisfies ExportFacts } })
}

const beginShredding: Step = async (run, now) => {
  const { sha256 } = now.facts['export'] as unknown as ExportFacts
  if (run.out === undefined || (await sumOf(run.out)).sha256 !== sha256) {
    throw new Error(`The last export has to be at hand: name the file with --out whose SHA-256 is ${sha256}.`)
  }
  return advance(run, { to: 'SHREDDING' })
}

const shred: Step = async (run) => {
  const vault = run.opened.house.made['vault']!.contract as Vault
  for (;;) {
    const { done, subjects, keys } = await unitOf(run).command((scope) => vault.shredTenant(scope, { size: shredBatch }), workerLogin)
    run.progress(`${subjects} people's keys destroyed`)
    if (!done) continue
    const swept = await asOwner(run, (client) => sweepTenant(client, run.tenantId, run.progress))
    const tenancy = run.opened.house.made['tenancy']!.contract as Tenancy
    return unitOf(run).command(async (scope) => {
      await tenancy.leave(scope, {})
      return run.custody.advanceOffboarding(scope, { to: 'SWEPT', facts: { keys, subjects, swept: { ...swept }, kept: Object.keys(keptTables) } })
    })
  }
}

const sign: Step = async (run, now) => {
  const { keys, backupsUntil, ...facts } = now.facts
  const destroyed = keys as { keyId: string; destroyedAt: string }[]
  const destroyedAt = destroyed.map((key) => key.destroyedAt).sort().at(-1)!
  const since = await asOwner(run, async (client) => {
    const { rows } = await client.query<{ since: Date }>('select created_at as since from tenancy.tenant where tenant_id = $1', [run.tenantId])
    return rows[0]!.since
  })
  const certificate = await certify(run.opened, {
    about: 'tenant',
    since,
    id: now.id,
    tenant: run.tenantId,
    slug: run.slug,
    destroyedAt,
    by: operatorName(run),
    keys: destroyed,
    facts: { askedBy: `member ${now.askedBy}`, askedAt: now.askedAt, dueAt: now.dueAt, closedAt: now.closedAt, ...facts },
    backups: { madeBefore: destroyedAt, openUntil: backupsUntil as string | null, openedBy: [...new Set(destroyed.map(({ keyId }) => keyId))] },
  })
  return advance(run, { to: 'DONE', certificate })
}

function operatorName({ tenantId }: Run): string {
  const { actor } = operatorCaller(tenantId)
  return actor.kind === 'operator' ? `operator ${actor.name}` : actor.kind
}

const steps: Readonly<Record<OffboardingView['state'], Step | null>> = {
  WAITING: shutDoor,
  CLOSED: takeOut,
  EXPORTED: beginShredding,
  SHREDDING: shred,
  SWEPT: sign,
  DONE: null,
  CANCELLED: null,
}

/** How a tenant's leaving stands. @throws OFFBOARDING_NOT_ASKED */
export async function offboardingOf(opened: Opened, slug: string): Promise<{ tenantId: string; now: OffboardingView }> {
  const { database } = opened.foundation
  const tenantId = await tenantIdOf(database, slug)
  const custody = opened.house.made['custody']!.contract as Custody
  const unit = database.unit(operatorCaller(tenantId))
  const { offboarding } = await unit.read(() => custody.offboarding(unit.scope, {}))
  if (!offboarding || offboarding.state === 'CANCELLED') throw offboardingNotAsked()
  return { tenantId, now: offboarding }
}

/** Goes on to the end, or as far as it may. @throws OFFBOARDING_NOT_ASKED, OFFBOARDING_WAITING, UNDER_LEGAL_HOLD */
export async function offboard(opened: Opened, options: OffboardOptions): Promise<OffboardingView> {
  const { tenantId, now } = await offboardingOf(opened, options.slug)
  const run: Run = { ...options, opened, tenantId, custody: opened.house.made['custody']!.contract as Custody }
  let view = now
  for (let step = steps[view.state]; step !== null; step = steps[view.state]) {
    options.progress(`${options.slug} is ${view.state}`)
    view = await step(run, view)
  }
  return view
}

/** Takes it back, as long as no key is destroyed; the door opens again. @throws OFFBOARDING_NOT_ASKED, INVALID_TRANSITION */
export async function cancelOffboarding(opened: Opened, slug: string): Promise<void> {
  const { tenantId, now } = await offboardingOf(opened, slug)
  const { custody, tenancy } = { custody: opened.house.made['custody']!.contract as Custody, tenancy: opened.house.made['tenancy']!.contract as Tenancy }
  await opened.foundation.database.unit(operatorCaller(tenantId)).command(async (scope) => {
    await custody.cancelOffboarding(scope, {})
    if (now.state !== 'WAITING') await tenancy.setSuspended(scope, { suspended: false })
  })
}
