/** `migrate`, `backup`, `restore`, `isolation prove`. */
import { join } from 'node:path'
import type { Command } from 'commander'
import { readConfig } from '../platform/config.ts'
import { provision } from '../platform/db/provision.ts'
import { reachFoundation } from '../platform/db/reach.ts'
import { createLog } from '../platform/http/log.ts'
import { proveIsolation } from '../proof/isolation.ts'
import { backup, backupKey, restore } from './backup.ts'
import { withHouse } from './open.ts'
import type { Terminal } from './terminal.ts'

export function databaseCommands(program: Command, terminal: Terminal): void {
  program
    .command('migrate')
    .description('apply missing migrations and set the logins\' passwords')
    .action(async () => {
      const config = readConfig(process.env)
      const foundation = await reachFoundation(config, createLog({ level: 'silent' }))
      try {
        if (foundation.ownerUrl === null) throw new Error('Set DATABASE_OWNER_URL: migrations run as the owner of the database.')
        const applied = await provision({
          ownerUrl: foundation.ownerUrl,
          loginSecret: foundation.loginSecret,
          onProgress: (name, index, total) => terminal.progress(`${index + 1} of ${total}: ${name}`),
        })
        terminal.done({ applied }, applied.length === 0 ? 'Nothing to apply.' : applied.map(({ name, ms }) => `${name}  ${Math.round(ms)} ms`).join('\n'))
      } finally {
        await foundation.stop()
      }
    })

  program
    .command('backup')
    .description('write a sealed backup of the whole database, proven by restoring it into a scratch database')
    .requiredOption('--file <path>', 'where to; must not exist')
    .option('--key-file <path>', 'the backup key; made once when it is missing (default: DATA_DIR/backup.key)')
    .action(async (options: { file: string; keyFile?: string }) =>
      withHouse(async ({ config, foundation }) => {
        if (foundation.ownerUrl === null) throw new Error('Set DATABASE_OWNER_URL: a backup reads every table as the owner.')
        const key = await backupKey(options.keyFile ?? join(config.dataDir, 'backup.key'), true)
        const report = await backup({ ownerUrl: foundation.ownerUrl, file: options.file, key, progress: terminal.progress })
        const rows = report.tables.reduce((sum, one) => sum + one.rows, 0)
        terminal.done(report, `${report.file}: ${rows} rows of ${report.tables.length} tables, ${report.bytes} bytes, verified by restoring it.`)
      }),
    )

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
        const report = await proveIsolation({ foundation, house, progress: terminal.progress })
        const { tables, fields, routes, attacks, controls, leaks, unproven } = report
        const sentence = [
          `${attacks} attacks on ${tables} tables, ${fields} fields and ${routes} routes, with ${controls} controls.`,
          leaks.length === 0 ? 'No leak.' : `LEAKS:\n${leaks.map((leak) => `  ${JSON.stringify(leak)}`).join('\n')}`,
          unproven.length === 0 ? '' : `Not proven:\n${unproven.map((one) => `  ${JSON.stringify(one)}`).join('\n')}`,
        ]
        terminal.done(report, sentence.filter((one) => one !== '').join('\n'))
        if (leaks.length > 0 || unproven.length > 0) process.exitCode = 1
      }),
    )
}
