/** `keys status`, `keys rotate`: how a tenant's keys are, and turning them now. They act on the worker's login, in the operator's name. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Command } from 'commander'
import { newId } from '../kernel/id.ts'
import type { KeyStatus, Vault } from '../modules/vault/contract.ts'
import { workerLogin } from '../platform/db/logins.ts'
import { systemCaller } from '../platform/jobs/system.ts'
import { withHouse, type Opened } from './open.ts'
import { operatorCaller, tenantIdOf } from './operator-scope.ts'
import { table, type Terminal } from './terminal.ts'

const vaultOf = ({ house }: Opened) => house.made['vault']!.contract as Vault

async function statusOf(opened: Opened, tenantId: string): Promise<KeyStatus> {
  const unit = opened.foundation.database.unit(systemCaller(tenantId, 'keys status', newId()))
  return unit.read(() => vaultOf(opened).keyStatus(unit.scope, {}))
}

function sentences({ keys, timeToDark, rotation }: KeyStatus): string {
  const rows = keys.map((key) => [
    `version ${key.version}`,
    key.state,
    `${key.subjects} people`,
    key.own ? `own key ${key.keyId}` : key.keyId,
    key.createdAt.slice(0, 10),
  ])
  const seconds = Math.round(timeToDark.boundMs / 1_000)
  const dark =
    timeToDark.darkSince === null
      ? `time to dark: at most ${seconds} s after the KMS stops giving the key`
      : `DARK since ${timeToDark.darkSince} (${timeToDark.trouble}), everywhere by ${timeToDark.darkEverywhereBy}`
  const turning = rotation?.state === 'RUNNING' ? [`rotating to version ${rotation.toVersion}: ${rotation.done} keys wrapped anew`] : []
  return [table(rows), dark, ...turning].join('\n')
}

export function keysCommands(program: Command, terminal: Terminal): void {
  const keys = program.command('keys').description('the keys that protect health data')

  keys
    .command('status')
    .description('a tenant\'s keys, how soon its data is dark without its KMS, and a rotation under way')
    .requiredOption('--tenant <slug>')
    .action(async ({ tenant }: { tenant: string }) =>
      withHouse(async (opened) => {
        const status = await statusOf(opened, await tenantIdOf(opened.foundation.database, tenant))
        terminal.done({ tenant, ...status }, sentences(status))
      }),
    )

  keys
    .command('rotate')
    .description('turn a tenant\'s data key now, or go on with a rotation that was cut off; nobody has to wait')
    .requiredOption('--tenant <slug>')
    .action(async ({ tenant }: { tenant: string }) =>
      withHouse(async (opened) => {
        const { database } = opened.foundation
        const unit = database.unit(operatorCaller(await tenantIdOf(database, tenant)))
        const vault = vaultOf(opened)
        const command = <T>(work: Parameters<typeof unit.command<T>>[0]) => unit.command(work, workerLogin)
        let run = await command((scope) => vault.startRotation(scope, {}))
        while (run.state !== 'DONE') {
          run = await command((scope) => vault.rotateBatch(scope, { size: 500 }))
          terminal.progress(run.state === 'SETTLING' ? 'waiting for whoever still uses the old key' : `${run.done} keys wrapped anew`)
          if (run.state === 'SETTLING') await pause(1_000)
        }
        const { fromVersion, toVersion, done } = run
        const said = `${tenant} is on key version ${toVersion}; ${done} keys were wrapped anew, and version ${fromVersion} is destroyed.`
        terminal.done({ tenant, fromVersion, toVersion, rewrapped: done }, said)
      }),
    )
}
