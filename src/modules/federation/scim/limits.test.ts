/** The page that a directory's administrator reads says the limits that hold. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { readConfig } from '../../../platform/config.ts'
import { mostTokens } from './contract.ts'
import { mostSettledAtOnce } from './settle-large.ts'
import { scimLimits } from './limits.ts'
import { readJson } from './schema/json.ts'

const page = readFileSync(new URL('../../../../docs/scim.md', import.meta.url), 'utf8')
const said = (number: number) => number.toLocaleString('en')

/** The row of the table of limits that begins so. */
function row(what: string): string {
  const found = page.split('\n').filter((line) => line.startsWith(`| ${what} |`) || line.startsWith(`| ${what} (`))
  if (found.length !== 1) throw new Error(`${found.length} rows are about ${what}.`)
  return found[0]!
}

test.each<[what: string, ...says: string[]]>([
  ['requests of a tenant', `${said(readConfig({}).scimRequestsPerMinute)} a minute`, '429 with `Retry-After`'],
  ['body', `${scimLimits.bodyBytes / 1024 / 1024} MiB`, '413'],
  ['Bulk', `${said(scimLimits.bulkOperations)} operations`, '413'],
  ['page', `${scimLimits.usualPage} resources`, `at most ${said(scimLimits.mostPage)}`],
  ['cursor', scimLimits.cursorSeconds === 3_600 ? 'one hour' : 'another time'],
  ['live tokens of a connection', `| ${mostTokens} |`],
  ['flight recorder', `the last ${scimLimits.exchanges} exchanges`],
])('docs/scim.md tells the limit of %s', (what, ...says) => {
  for (const one of says) expect(row(what)).toContain(one)
})

test('docs/scim.md tells how deep a body may nest, and from how many people on a change goes in two parts', () => {
  const levels = Number(/(\d+) levels deep/.exec(row('body'))![1])
  expect(() => readJson('['.repeat(levels) + ']'.repeat(levels))).not.toThrow()
  expect(() => readJson('['.repeat(levels + 1) + ']'.repeat(levels + 1))).toThrow(String(levels))
  expect(page).toContain(`Changes of more than ${mostSettledAtOnce} people at once`)
})
