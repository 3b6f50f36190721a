/** `audit report`: what a compliance officer reads and prints of one recipient, one person or one period. */
import { writeFile } from 'node:fs/promises'
import { InvalidArgumentError, Option, type Command } from 'commander'
import { locales, type Locale } from '../kernel/locale.ts'
import { collectReport, type AuditReport } from '../modules/audit/report/collect.ts'
import { reportCsv } from '../modules/audit/report/csv.ts'
import { reportPage } from '../modules/audit/report/page.ts'
import { batchesOf, sealPending } from './audit-batches.ts'
import { withHouse } from './open.ts'
import { tenantIdOf } from './operator-scope.ts'
import type { Terminal } from './terminal.ts'

const formats = ['json', 'csv', 'html'] as const

const write: Record<(typeof formats)[number], (report: AuditReport, locale: Locale) => string> = {
  json: (report) => `${JSON.stringify(report, null, 2)}\n`,
  csv: reportCsv,
  html: reportPage,
}

/** `2026`, `2026-11`, `2026-11-21`, or two of them with `..` between: whole years, months and days, UTC. */
export function periodOf(text: string): { from: string; to: string } {
  const [first = '', last = first, ...more] = text.split('..')
  const shape = /^(\d{4})(?:-(\d\d))?(?:-(\d\d))?$/
  const [begin, end] = [shape.exec(first), shape.exec(last)]
  if (!begin || !end || more.length > 0) throw new InvalidArgumentError('Write 2026, 2026-11, 2026-11-21, or two of them with .. between.')
  const [year, month, day] = end.slice(1).map((part) => (part === undefined ? null : Number(part))) as [number, number | null, number | null]
  const until = day !== null ? Date.UTC(year, month! - 1, day + 1) : month !== null ? Date.UTC(year, month, 1) : Date.UTC(year + 1, 0, 1)
  const since = new Date(`${begin[1]}-${begin[2] ?? '01'}-${begin[3] ?? '01'}T00:00:00.000Z`)
  if (Number.isNaN(since.getTime()) || since.getTime() >= until) throw new InvalidArgumentError('This period is empty, or no date.')
  return { from: since.toISOString(), to: new Date(until).toISOString() }
}

interface Options {
  readonly tenant: string
  readonly recipient?: string
  readonly actor?: string
  readonly period?: { from: string; to: string }
  readonly format: (typeof formats)[number]
  readonly locale: Locale
  readonly file?: string
}

export function reportCommand(audit: Command, terminal: Terminal): void {
  audit
    .command('report')
    .description('who did what: by recipient, by person or by period; as JSON, CSV or a page to print')
    .requiredOption('--tenant <slug>')
    .option('--recipient <id>', 'about this recipient')
    .option('--actor <id>', 'by this member or token')
    .addOption(new Option('--period <when>', 'a year, month or day, or two with .. between; UTC').argParser(periodOf))
    .addOption(new Option('--format <format>', 'how it is written').choices(formats).default('json'))
    .addOption(new Option('--locale <locale>', 'language of the page').choices(locales).default('en'))
    .option('--file <path>', 'where to; must not exist (default: standard output)')
    .action(async ({ tenant, recipient, actor, period, format, locale, file }: Options) =>
      withHouse(async (opened) => {
        await sealPending(opened)
        const tenantId = await tenantIdOf(opened.foundation.database, tenant)
        const selected = { ...(recipient ? { subjectId: recipient } : {}), ...(actor ? { actorId: actor } : {}) }
        const scope = { tenant, recipient: recipient ?? null, actor: actor ?? null, from: period?.from ?? null, to: period?.to ?? null }
        const report = await collectReport(batchesOf(opened, tenantId, selected), scope, new Date())
        const text = write[format](report, locale)
        if (file !== undefined) await writeFile(file, text, { flag: 'wx', mode: 0o600 })
        const done = { file: file ?? null, format, lines: report.lines.length, head: report.head }
        terminal.done(file === undefined ? { ...done, report } : done, file === undefined ? text.trimEnd() : `${file}: ${report.lines.length} lines.`)
      }),
    )
}
