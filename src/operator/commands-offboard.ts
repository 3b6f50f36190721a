/** `tenant offboard`: a tenant leaves for good, as its administrator asked. It can be cut off anywhere and run again. */
import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { cancelOffboarding, offboard, offboardingOf } from './offboard.ts'
import { withHouse } from './open.ts'
import type { Terminal } from './terminal.ts'

interface Options {
  readonly confirm: string
  readonly out?: string
  readonly backupsUntil?: string
  readonly certificate?: string
  readonly status?: true
  readonly cancel?: true
}

function untilOf(text: string | undefined): string | null | undefined {
  if (text === undefined || text === 'none') return text === undefined ? undefined : null
  const until = new Date(text)
  if (Number.isNaN(until.getTime())) throw new Error('--backups-until is no date: write it as 2027-01-31, or none.')
  return until.toISOString()
}

export function offboardCommand(program: Command, terminal: Terminal): void {
  program.commands
    .find((command) => command.name() === 'tenant')!
    .command('offboard')
    .description('carry out the leaving that the tenant asked for: export, destroy its keys, sweep, certify; or go on with it')
    .requiredOption('--confirm <slug>', 'the tenant, written out')
    .option('--out <path>', 'where the last export goes, sealed to the key the tenant gave; must not exist')
    .option('--backups-until <date>', 'until when backups made so far are kept, or none: they still hold wrapped keys')
    .option('--certificate <path>', 'write the certificate to this file too; must not exist')
    .option('--status', 'only say how it stands')
    .option('--cancel', 'take it back, as long as no key is destroyed')
    .action(async ({ confirm: slug, ...options }: Options) =>
      withHouse(async (opened) => {
        if (options.status) {
          const { state, dueAt, isHeld, reason } = (await offboardingOf(opened, slug)).now
          return terminal.done({ slug, state, dueAt, isHeld, reason }, `${slug} is ${state}; due ${dueAt}${isHeld ? '; a legal hold is in force' : ''}.`)
        }
        if (options.cancel) {
          await cancelOffboarding(opened, slug)
          return terminal.done({ slug, state: 'CANCELLED' }, `${slug} stays.`)
        }
        const backupsUntil = untilOf(options.backupsUntil)
        const { state, certificate } = await offboard(opened, { slug, out: options.out, backupsUntil, progress: terminal.progress })
        if (options.certificate !== undefined) await writeFile(options.certificate, `${certificate}\n`, { flag: 'wx', mode: 0o600 })
        terminal.done({ slug, state, certificate: JSON.parse(certificate!) as object }, `${slug} has left.\n${certificate}`)
      }),
    )
}
