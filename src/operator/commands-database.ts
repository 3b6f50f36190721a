/** `migrate`, `backup`, `restore`, `isolation prove`. */
import { join } from 'node:path'
import type { Command } from 'commander'
import { readConfig } from '../platform/config.ts'
import { secretIn } from '../platform/db/foundation.ts'
import { provision, withClient } from '../platform/db/provision.ts'
import { backup, backupKey, restore } from './backup.ts'
import { fingerprintOf, keepUntilOf, keptBackups, registerBackup, whileWriting } from './backups.ts'
import { mendLogins } from './mend-logins.ts'
import { withHouse, withOwner } from './open.ts'
import { table, type Terminal } from './terminal.ts'

export function databaseCommands(program: Command, terminal: Terminal): void {
  program
    .command('migrate')
    .description('apply missing migrations and set the logins\' passwords')
    .option('--mend-logins', 'also take from the logins every power they should not have')
    .action(async (options: { mendLogins?: true }) => {
      const config = readConfig(process.env)
      const { applied, mended } = await withOwner(config, async (ownerUrl) => ({
        applied: await provision({
          ownerUrl,
          loginSecret: config.databaseLoginSecret ?? (await secretIn(config.dataDir)),
          onProgress: (name, index, total) => terminal.progress(`${index + 1} of ${total}: ${name}`),
        }),
        mended: options.mendLogins ? await withClient(ownerUrl, mendLogins) : [],
      }))
      const lines = [...applied.map(({ name, ms }) => `${name}  ${ms} ms`), ...mended]
      terminal.done({ applied, mended }, lines.length === 0 ? 'Nothing to apply.' : lines.join('\n'))
    })

  const backups = program
    .command('backup')
    .description('write a sealed backup of the whole database, proven by restoring it into a scratch database')
    .option('--file <path>', 'where to; must not exist')
    .option('--key-file <path>', 'the backup key; made once when it is missing (default: DATA_DIR/backup.key)')
    .option('--keep-until <date>', 'until when it is kept (default: BACKUP_KEEP_DAYS from now): certificates of erasure name it until then')
    .action(async (options: { file?: string; keyFile?: string; keepUntil?: string }, command: Command) => {
      const { file } = options
      if (file === undefined) return command.error("error: required option '--file <path>' not specified")
      const config = readConfig(process.env)
      const keepUntil = keepUntilOf(options.keepUntil, config.backupKeepDays)
      const report = await withOwner(config, async (ownerUrl) => {
        const key = await backupKey(options.keyFile ?? join(config.dataDir, 'backup.key'), true)
        const madeAt = new Date()
        return whileWriting(ownerUrl, async () => {
          const written = await backup({ ownerUrl, file, key, progress: terminal.progress })
          const openedBy = `backup key ${fingerprintOf(key)}`
          return { ...written, id: await registerBackup({ ownerUrl, tenantId: null, madeAt, keepUntil, openedBy, file }) }
        })
      })
      const rows = report.tables.reduce((sum, one) => sum + one.rows, 0)
      terminal.done(
        { ...report, keepUntil: keepUntil.toISOString() },
        `${report.file}: ${rows} rows of ${report.tables.length} tables, ${report.bytes} bytes, verified by restoring it.`,
      )
    })

  backups
    .command('list')
    .description('backups and exports that this building wrote and that are still kept: what erased people and tenants can still be read from')
    .action(async () => {
      const kept = await withOwner(readConfig(process.env), (ownerUrl) => withClient(ownerUrl, keptBackups))
      const lines = kept.map(({ kind, madeAt, keepUntil, openedBy, file, tenantId }) => [
        kind, madeAt, `kept until ${keepUntil ?? 'whoever has it ends it'}`, openedBy, file, ...(tenantId === null ? [] : [`tenant ${tenantId}`]),
      ])
      terminal.done({ backups: kept }, kept.length === 0 ? 'None is kept.' : table(lines))
    })

  program
    .command('restore')
    .description('restore a backup into an empty database')
    .requiredOption('--file <path>', 'the backup')
    .requiredOption('--into <url>', 'the owner\'s address of an empty database')
    .option('--key-file <path>', 'the backup key (default: DATA_DIR/backup.key)')
    .action(async (options: { file: string; into: string; keyFile?: string }) => {
      const config = readConfig(process.env)
      const key = await backupKey(options.keyFile ?? join(config.dataDir, 'backup.key'), false)
      const { tables } = await restore({ ownerUrl: options.into, file: options.file, key, progress: terminal.progress })
      terminal.done({ tables }, `${tables.reduce((sum, one) => sum + one.rows, 0)} rows of ${tables.length} tables restored and compared.`)
    })

  program
    .command('isolation')
    .description('tenant isolation')
    .command('prove')
    .description('attack every table, field and route as another tenant, against the live database; exit 1 on any leak')
    .action(async () =>
      withHouse(async ({ foundation, house }) => {
        const { proveIsolation } = await import('../proof/isolation.ts')
        const report = await proveIsolation({ foundation, house, progress: terminal.progress })
        const { tables, fields, routes, attacks, controls, leaks, unproven, exempt } = report
        const sentence = [
          `${attacks} attacks on ${tables} tables, ${fields} fields and ${routes} routes, with ${controls} controls.`,
          `${exempt.length} places hold nothing of any tenant: --json gives the reason of each.`,
          leaks.length === 0 ? 'No leak.' : `LEAKS:\n${leaks.map((leak) => `  ${JSON.stringify(leak)}`).join('\n')}`,
          unproven.length === 0 ? '' : `Not proven:\n${unproven.map((one) => `  ${JSON.stringify(one)}`).join('\n')}`,
        ]
        terminal.done(report, sentence.filter((one) => one !== '').join('\n'))
        if (leaks.length > 0 || unproven.length > 0) process.exitCode = 1
      }),
    )
}
