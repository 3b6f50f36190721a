/** `keys leakage|index|reindex` and `recipient erase`: what recipients are found by, and erasing one. On the worker's login, in the operator's name. */
import { setTimeout as pause } from 'node:timers/promises'
import { Option, type Command } from 'commander'
import type { Scope } from '../kernel/scope.ts'
import { lookupFields, type Care, type LookupField } from '../modules/care/contract.ts'
import { workerLogin } from '../platform/db/logins.ts'
import { certifyErasure } from './certify.ts'
import { withHouse, type Opened } from './open.ts'
import { forgetEventsAbout } from '../platform/outbox/store.ts'
import { unitOf } from '../platform/db/unit.ts'
import { operatorCaller, tenantIdOf } from './operator-scope.ts'
import type { Terminal } from './terminal.ts'

const batchSize = 100

type Run = <T>(work: (care: Care, scope: Scope) => Promise<T>) => Promise<T>

/** Runs `work` with a way to run commands in a tenant. */
function inTenant(slug: string, work: (run: Run, opened: Opened, tenantId: string) => Promise<void>): Promise<void> {
  return withHouse(async (opened) => {
    const { foundation, house } = opened
    const tenantId = await tenantIdOf(foundation.database, slug)
    const unit = foundation.database.unit(operatorCaller(tenantId))
    const care = house.made['care']!.contract as Care
    await work((command) => unit.command((scope) => command(care, scope), workerLogin), opened, tenantId)
  })
}

async function drive(run: Run, terminal: Terminal): Promise<number> {
  for (;;) {
    const { phase, done } = await run((care, scope) => care.indexBatch(scope, { size: batchSize }))
    if (phase === 'DONE') return done
    terminal.progress(phase === 'SETTLING' ? 'waiting for whoever writes without knowing of this' : `${phase.toLowerCase()}: ${done} people`)
    if (phase === 'SETTLING') await pause(1_000)
  }
}

export function lookupCommands(program: Command, terminal: Terminal): void {
  const keys = program.commands.find((command) => command.name() === 'keys')!

  keys
    .command('leakage')
    .description('measure what an index of each protected field would give away, before any is switched on')
    .requiredOption('--tenant <slug>')
    .action(({ tenant }: { tenant: string }) =>
      inTenant(tenant, async (run) => {
        const { fields } = await run((care, scope) => care.measureLeakage(scope, {}))
        terminal.done({ tenant, fields }, fields.map(({ risk, state, note }) => `${risk.padEnd(6)} ${state.padEnd(8)} ${note}`).join('\n'))
      }),
    )

  keys
    .command('index')
    .description('find recipients by these fields from now on, or go on with an index run that was cut off')
    .requiredOption('--tenant <slug>')
    .addOption(new Option('--field <field...>', 'what to find them by').choices([...lookupFields]))
    .action(({ tenant, field }: { tenant: string; field?: LookupField[] }) =>
      inTenant(tenant, async (run) => {
        if (field) await run((care, scope) => care.switchOnLookup(scope, { fields: field }))
        const done = await drive(run, terminal)
        terminal.done({ tenant, fields: field ?? [], people: done }, `Every index of ${tenant} is in line and verified.`)
      }),
    )

  keys
    .command('reindex')
    .description('index everything under a new lookup key, beside the one that answers; nobody has to wait')
    .requiredOption('--tenant <slug>')
    .action(({ tenant }: { tenant: string }) =>
      inTenant(tenant, async (run) => {
        await run((care, scope) => care.rekeyLookup(scope, {}))
        const done = await drive(run, terminal)
        terminal.done({ tenant, people: done }, `${tenant} is found by its new lookup key; the former is destroyed.`)
      }),
    )

  const recipient = program.command('recipient').description('the people a tenant cares for')

  recipient
    .command('erase')
    .description('destroy a person\'s key, so that nothing of her opens ever again, and certify it')
    .requiredOption('--tenant <slug>')
    .requiredOption('--recipient <uuid>', 'her id')
    .requiredOption('--confirm <uuid>', 'her id again')
    .option('--backups-until <date>', 'until when backups made before are kept: they still hold her wrapped key')
    .action((options: { tenant: string; recipient: string; confirm: string; backupsUntil?: string }, command: Command) => {
      if (options.confirm !== options.recipient) command.error('error: --confirm is not the id given with --recipient')
      const backupsUntil = options.backupsUntil === undefined ? null : new Date(options.backupsUntil).toISOString()
      return inTenant(options.tenant, async (run, opened, tenantId) => {
        const { certificateId, keyIds } = await run((care, scope) => eraseRecipient(care, scope, { id: options.recipient, backupsUntil }))
        const certificate = await certifyErasure(opened, tenantId, options.recipient)
        const document = JSON.parse(certificate) as object
        terminal.done({ certificateId, keyIds, backupsUntil, certificate: document }, `Erased. Certificate ${certificateId}.\n${certificate}`)
      })
    })

  recipient
    .command('certificate')
    .description('the signed certificate of a person\'s erasure, for the verifier; signed now if that was cut off')
    .requiredOption('--tenant <slug>')
    .requiredOption('--recipient <uuid>', 'her id')
    .action(({ tenant, recipient: id }: { tenant: string; recipient: string }) =>
      inTenant(tenant, async (_, opened, tenantId) => {
        const certificate = await certifyErasure(opened, tenantId, id)
        terminal.done(JSON.parse(certificate) as object, certificate)
      }),
    )
}

/** Her key, her record, and every event that names her, in one transaction. */
export async function eraseRecipient(care: Care, scope: Scope, input: { id: string; backupsUntil: string | null }) {
  const erased = await care.eraseRecipient(scope, input)
  const events = await forgetEventsAbout(unitOf(scope).db, input.id)
  scope.unit.record({ action: 'outbox.swept', resource: 'OutboxEvent', subjectId: input.id, outcome: 'done', detail: { events } })
  return erased
}
