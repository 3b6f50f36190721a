/** The report as CSV (RFC 4180) that a spreadsheet opens as text: no cell of it is ever a formula. */
import { lineColumns } from '../../../platform/ledger/chain.ts'
import type { AuditReport } from './collect.ts'

/** What a spreadsheet takes for the beginning of a formula, also in full width and behind blanks. */
const formula = /^[\s\p{Cc}]*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]|^[\t\r\n]/u

/** Quoted; an apostrophe in front of what would be a formula. */
export function csvCell(value: string | null): string {
  const text = value ?? ''
  return `"${(formula.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`
}

/** With a byte order mark: without it, spreadsheets take Arabic for something else. */
export function reportCsv({ lines }: AuditReport): string {
  const rows = lines.map(({ seq, event }) => [seq === null ? null : String(seq), ...lineColumns.map((name) => event[name])])
  return `\uFEFF${[['seq', ...lineColumns], ...rows].map((row) => row.map(csvCell).join(',')).join('\r\n')}\r\n`
}
