/** The officer's report: what it takes in, and that no value of it becomes a formula, a tag, or turns the words around it. */
import { describe, expect, test } from 'vitest'
import { newId } from '../../../kernel/id.ts'
import { lineColumns } from '../../../platform/ledger/chain.ts'
import { collectReport, mostReportLines, type AuditReport, type ReportLine } from './collect.ts'
import { csvCell, reportCsv } from './csv.ts'
import { reportPage } from './page.ts'

const [mother, clinician] = [newId(), newId()]
const blank = Object.fromEntries(lineColumns.map((name) => [name, null])) as ReportLine['event']
const event = (given: Partial<ReportLine['event']>): ReportLine['event'] => ({
  ...blank,
  at: '2026-11-21T08:30:00.123456Z',
  actor_kind: 'member',
  action: 'phi.read',
  resource: 'CareRecipient',
  outcome: 'done',
  detail: '{}',
  ...given,
})
const everything = { tenant: 'cedar', recipient: null, actor: null, from: null, to: null }
async function* batches(...events: ReportLine['event'][]): AsyncGenerator<{ text: string }> {
  yield { text: `${JSON.stringify({ kind: 'maristan.audit.export' })}\n` }
  for (const [i, one] of events.entries()) yield { text: `${JSON.stringify({ seq: i + 1, hash: 'x', event: one })}\n` }
  yield { text: `${JSON.stringify({ seq: events.length + 1, hash: 'y', digest: 'z' })}\n${JSON.stringify({ kind: 'end', seq: 9, hash: 'abc' })}\n` }
}
const reportOf = (...events: ReportLine['event'][]): Promise<AuditReport> => collectReport(batches(...events), everything, new Date(0))

test('only lines of the recipient, the person and the period asked for are in it', async () => {
  const lines = [
    event({ subject_id: mother, actor_id: clinician }),
    event({ subject_id: mother, actor_id: newId() }),
    event({ subject_id: newId(), actor_id: clinician }),
    event({ subject_id: mother, actor_id: clinician, at: '2026-12-01T00:00:00.000000Z' }),
  ]
  const numbers = async (asked: Partial<typeof everything>) =>
    (await collectReport(batches(...lines), { ...everything, ...asked } as never, new Date(0))).lines.map(({ seq }) => seq)
  expect(await numbers({})).toEqual([1, 2, 3, 4])
  expect(await numbers({ recipient: mother } as never)).toEqual([1, 2, 4])
  expect(await numbers({ recipient: mother, actor: clinician } as never)).toEqual([1, 4])
  expect(await numbers({ from: '2026-11-01T00:00:00Z', to: '2026-12-01T00:00:00Z' } as never)).toEqual([1, 2, 3])
  expect((await reportOf()).head).toEqual({ seq: 9, hash: 'abc' })
  await expect(reportOf(...Array.from({ length: mostReportLines + 1 }, () => lines[0]!))).rejects.toThrow('shorter period')
})

describe('as CSV', () => {
  test.each(['=1+1', '+1', '-1', '@SUM(A1)', ' =1', '\t=1', '\r=1', '\n=1', '\uFF1D1', '\u0000=1', '\uFF20x'])('%j is text and no formula', (value) => {
    expect(csvCell(value)).toBe(`"'${value}"`)
  })

  test('what is no formula stays as it is; quotes are doubled and a line feed stays inside its cell', async () => {
    for (const value of ['phi.read', '2026-11-21T08:30:00.123456Z', 'a-b', 'سجل', '']) expect(csvCell(value)).toBe(`"${value}"`)
    const csv = reportCsv(await reportOf(event({ user_agent: '=cmd|"x"!A1\nsecond', actor_id: clinician })))
    expect(csv).toContain(`"'=cmd|""x""!A1\nsecond"`)
    expect(csv.startsWith('\uFEFF"seq","tenant_id"')).toBe(true)
    expect(csv.split('\r\n')).toHaveLength(3)
  })
})

describe('as a page', () => {
  test('it reads from the right in Arabic and from the left in English, and ids stay from the left in both', async () => {
    const report = await reportOf(event({ subject_id: mother, actor_id: clinician, purpose: 'TREATMENT' }))
    const [english, arabic] = [reportPage(report, 'en'), reportPage(report, 'ar')]
    expect(english).toContain('<html lang="en" dir="ltr">')
    expect(english).toContain('<td>treatment</td>')
    expect(arabic).toContain('<html lang="ar" dir="rtl">')
    expect(arabic).toContain('<td>علاج</td>')
    for (const page of [english, arabic]) expect(page).toContain(`<bdi dir="ltr"><code>${clinician}</code></bdi>`)
  })

  test('no value of it is a tag, an attribute or a script, and nothing is loaded from elsewhere', async () => {
    const evil = '"><script>alert(1)</script><img src=x onerror=1>\u202e'
    const line = event({ action: evil, detail: evil, resource: evil, source_address: evil, actor_kind: evil, outcome: evil, purpose: evil })
    const page = reportPage({ ...(await reportOf(line)), scope: { ...everything, tenant: evil } }, 'en')
    expect(page).not.toMatch(/<script|<img|<link|https?:/)
    expect(page).toContain('&lt;script&gt;')
    expect(page).toContain("default-src 'none'")
  })

  test('a report of nothing says so in its own words', async () => {
    expect(reportPage(await reportOf(), 'en')).toContain('Nothing happened here')
    expect(reportPage(await reportOf(), 'ar')).toContain('لم يحدث شيء')
  })
})
