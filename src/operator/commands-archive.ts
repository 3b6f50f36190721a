/** `tenant export|restore`: one tenant as a file that only the holder of the tenant's private key opens. */
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { Vault } from '../modules/vault/contract.ts'
import { fingerprintOf, keepUntilOf, registerBackup, whileWriting } from './backups.ts'
import { withHouse, type Opened } from './open.ts'
import { operatorCaller, tenantIdOf } from './operator-scope.ts'
import { privateKeyOf, publicKeyOf } from './sealed-to-key.ts'
import { exportTenant, restoreTenant, type ArchiveReport, type Voucher } from './tenant-archive.ts'
import type { Terminal } from './terminal.ts'

/** The building's word, sealed under the platform's key: nobody without that key can write or alter an archive that restores. */
export function voucherOf({ house, foundation }: Pick<Opened, 'house' | 'foundation'>): Voucher {
  const vault = house.made['vault']!.contract as Vault
  const place = { model: 'TenantArchive', field: 'digest' }
  const scopeOf = (tenantId: string) => foundation.database.unit(operatorCaller(tenantId)).scope
  return {
    async vouch(tenantId, digest) {
      const { sealed } = await vault.sealSecrets(scopeOf(tenantId), { items: [{ ...place, rowId: tenantId, value: digest }] })
      return sealed[0]!
    },
    async check(tenantId, digest, sealed) {
      const { values } = await vault.openSecrets(scopeOf(tenantId), { items: [{ ...place, rowId: tenantId, sealed }] })
      if (values[0] !== digest) throw new Error('The export was altered after this building wrote it. Nothing was restored.')
    },
  }
}

export function ownerOf({ foundation }: Pick<Opened, 'foundation'>): string {
  if (foundation.ownerUrl === null) throw new Error('Set DATABASE_OWNER_URL: this needs the owner of the database.')
  return foundation.ownerUrl
}

const rowsOf = ({ tables }: ArchiveReport): number => tables.reduce((sum, one) => sum + one.rows, 0)

export function archiveCommands(program: Command, terminal: Terminal): void {
  const tenant = program.commands.find((command) => command.name() === 'tenant')!

  tenant
    .command('export')
    .description('write every row of a tenant into a file sealed to a key of the tenant\'s')
    .requiredOption('--slug <slug>')
    .requiredOption('--public-key <path>', 'the tenant\'s X25519 public key, PEM')
    .requiredOption('--out <path>', 'where to; must not exist')
    .option('--keep-until <date>', 'until when it is kept (default: BACKUP_KEEP_DAYS from now)')
    .action(async (options: { slug: string; publicKey: string; out: string; keepUntil?: string }) =>
      withHouse(async (opened) => {
        const keepUntil = keepUntilOf(options.keepUntil, opened.config.backupKeepDays)
        const recipient = publicKeyOf(await readFile(options.publicKey, 'utf8'))
        const { database } = opened.foundation
        const tenantId = await tenantIdOf(database, options.slug)
        // Recorded first, so that no export leaves without a trace, and so that the export itself tells of it.
        await database.unit(operatorCaller(tenantId)).command(async (scope) =>
          scope.unit.record({ action: 'tenant.exported', resource: 'Tenant', resourceId: tenantId, subjectId: tenantId, outcome: 'done' }),
        )
        const [ownerUrl, madeAt] = [ownerOf(opened), new Date()]
        const report = await whileWriting(ownerUrl, async () => {
          const written = await exportTenant({
            ownerUrl, file: options.out, voucher: voucherOf(opened), progress: terminal.progress, tenantId, slug: options.slug, recipient,
          })
          const openedBy = `X25519 ${fingerprintOf(recipient)}`
          return { ...written, id: await registerBackup({ ownerUrl, tenantId, madeAt, keepUntil, openedBy, file: options.out }) }
        })
        terminal.done({ ...report, keepUntil: keepUntil.toISOString() }, `${report.file}: ${rowsOf(report)} rows of ${report.tables.length} tables, ${report.bytes} bytes.`)
      }),
    )

  tenant
    .command('restore')
    .description('bring an exported tenant back, where no row of it is left')
    .requiredOption('--from <path>', 'the export')
    .requiredOption('--private-key <path>', 'the tenant\'s X25519 private key, PEM')
    .action(async (options: { from: string; privateKey: string }) =>
      withHouse(async (opened) => {
        const privateKey = privateKeyOf(await readFile(options.privateKey, 'utf8'))
        const { actor } = operatorCaller('')
        const report = await restoreTenant({
          ownerUrl: ownerOf(opened), file: options.from, voucher: voucherOf(opened), progress: terminal.progress,
          privateKey, operator: actor.kind === 'operator' ? actor.name : '',
        })
        terminal.done(report, `${report.slug}: ${rowsOf(report)} rows of ${report.tables.length} tables restored and compared.`)
      }),
    )
}
