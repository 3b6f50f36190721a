/** `audit stream status|send|vouch`: how the streaming of a trail goes. Where to, the tenant's officer says; the operator never does. */
import type { Command } from 'commander'
import type { AuditStreams, StreamState } from '../modules/audit/stream/contract.ts'
import { createStreams, type StreamSender } from '../platform/ledger/streams.ts'
import { sealPending } from './audit-batches.ts'
import { withHouse, type Opened } from './open.ts'
import { operatorCaller, tenantIdOf } from './operator-scope.ts'
import type { Terminal } from './terminal.ts'

const madeOf = ({ house }: Opened) => house.made['audit'] as unknown as { streams: AuditStreams; sender: StreamSender }

const sentence = (slug: string, state: StreamState | null): string =>
  state === null
    ? `${slug}: not streamed. A compliance officer sets it up on the console.`
    : `${slug}: ${state.standing}, line ${state.cursor} of ${state.head} taken by ${new URL(state.url).host}` +
      `${state.failures > 0 ? `; ${state.failures} failures in a row: ${state.problem}; next try ${state.nextAt} (UTC)` : ''}.`

export function streamCommands(audit: Command, terminal: Terminal): void {
  const stream = audit.command('stream').description("the streaming of a tenant's trail to its own receiver (SIEM)")

  stream
    .command('status')
    .description('how far the receiver is, and what goes wrong')
    .requiredOption('--tenant <slug>')
    .action(async ({ tenant }: { tenant: string }) =>
      withHouse(async (opened) => {
        const unit = opened.foundation.database.unit(operatorCaller(await tenantIdOf(opened.foundation.database, tenant)))
        const { state } = await unit.read(() => madeOf(opened).streams.streamState(unit.scope, {}))
        terminal.done({ tenant, state }, sentence(tenant, state))
      }),
    )

  stream
    .command('send')
    .description('send now what is due, of every tenant; a running server does so by itself')
    .action(async () =>
      withHouse(async (opened) => {
        await sealPending(opened)
        const { database, databaseUrl, loginSecret } = opened.foundation
        const lines = await createStreams({ database, databaseUrl, loginSecret, sender: madeOf(opened).sender, log: opened.log }).sendDue()
        terminal.done({ lines }, `${lines} lines were taken.`)
      }),
    )

  stream
    .command('vouch')
    .description('answer for it that the receiver which the officer named may have a private address')
    .requiredOption('--tenant <slug>')
    .action(async ({ tenant }: { tenant: string }) =>
      withHouse(async (opened) => {
        const unit = opened.foundation.database.unit(operatorCaller(await tenantIdOf(opened.foundation.database, tenant)))
        const state = await unit.command((scope) => madeOf(opened).streams.vouchForStream(scope, {}))
        terminal.done({ tenant, state }, sentence(tenant, state))
      }),
    )
}
