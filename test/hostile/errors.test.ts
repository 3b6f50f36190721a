/** What leaves the house when something breaks in it: a sentence and an id. And what its log keeps: names and places, no values. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { errorsDocument } from '../../scripts/errors.ts'
import { faultCodes, faultSentence } from '../../src/kernel/fault.ts'
import { keptLog } from '../kit/http.ts'
import { freshHouse, password, type TestHouse, type TestTenant } from '../kit/house.ts'
import { ask, codeIn, json, send, signIn } from './arena.ts'

const canary = 'Canary Qatr an-Nada'
const lines: string[] = []

let house: TestHouse
let cedar: TestTenant
let coordinator: { authorization: string }
let admin: { authorization: string }

beforeAll(async () => {
  house = await freshHouse({}, keptLog(lines))
  cedar = await house.tenant()
  coordinator = { authorization: `Bearer ${await house.signIn(cedar, 'care_coordinator')}` }
  admin = { authorization: `Bearer ${await house.signIn(cedar, 'tenant_admin')}` }
})
afterAll(() => house.close())

const telltale = /select |insert |update |permission denied|relation|42501|prisma|postgres|maristan_|modules|\.ts\b|at \w+ \(|stack|Canary/i

const recipients = '{ recipients(first: 5) { edges { node { id givenName } } } }'
const create = `mutation ($input: CreateRecipientInput!) {
  createRecipient(input: $input) { __typename ... on CareRecipient { id version } ... on Fault { code message } }
}`

/** Runs `work` without one of the grants it needs. */
async function without(privilege: string, of: string, work: () => Promise<void>): Promise<void> {
  await house.at.owner(`revoke ${privilege} from ${of}`)
  try {
    await work()
  } finally {
    await house.at.owner(`grant ${privilege} to ${of}`)
  }
}

function logged(requestId: unknown): { event: string; errorName?: string; errorStack?: string }[] {
  return lines.map((line) => JSON.parse(line) as { requestId?: string; event: string }).filter((line) => line.requestId === requestId)
}

describe('a failure of ours', () => {
  test('in a query is hidden under the request\'s id, and kept in the log under the same', async () => {
    expect((await ask(house, 'console', coordinator, create, { input: { givenName: canary } })).text).toContain('CareRecipient')
    await without('select on care.recipient', 'maristan_console_read', async () => {
      const answer = await ask(house, 'console', coordinator, recipients)
      const id = answer.headers['x-request-id']
      expect(JSON.parse(answer.text)).toMatchObject({
        errors: [
          {
            message: 'Something went wrong on our side. Quote the request id when you report it.',
            path: ['recipients'],
            extensions: { code: 'INTERNAL', requestId: id },
          },
        ],
      })
      expect(answer.text).not.toMatch(telltale)
      const [failure] = logged(id).filter(({ event }) => event === 'graphql.failed')
      expect(failure).toMatchObject({ errorName: expect.any(String), errorStack: expect.stringMatching(/src\/.*\.ts:\d+/) })
      expect(JSON.stringify(failure)).not.toMatch(/permission denied|select |Canary/i)
    })
    expect((await ask(house, 'console', coordinator, recipients)).text).toContain(canary)
  })

  test('in a mutation is hidden too, and nothing of it is done', async () => {
    const count = () => house.at.owner('select count(*)::int as n from care.recipient')
    const before = await count()
    for (const table of ['care.recipient', 'audit.event', 'outbox.event']) {
      await without(`insert on ${table}`, 'maristan_console', async () => {
        const answer = await ask(house, 'console', coordinator, create, { input: { givenName: canary } })
        expect(codeIn(answer), `${table}: ${answer.text}`).toBe('INTERNAL')
        expect(answer.text, table).not.toMatch(telltale)
        expect(logged(answer.headers['x-request-id']).map(({ event }) => event)).toContain('graphql.failed')
      })
    }
    expect(await count()).toEqual(before)
  })

  test('while somebody is signed in or known again is hidden, in the graph and outside it', async () => {
    // One login finds who signs in, the plane's own confirms who is known again.
    await without('select on identity.session', 'maristan_auth_read, maristan_console_read', async () => {
      for (const answer of [
        await ask(house, 'console', coordinator, recipients),
        await send(house, { method: 'GET', path: '/session', headers: coordinator }),
      ]) {
        expect([answer.status, codeIn(answer)], answer.text).toEqual([500, 'INTERNAL'])
        expect(answer.text).not.toMatch(telltale)
        expect(answer.text).toContain(String(answer.headers['x-request-id']))
        expect(logged(answer.headers['x-request-id']).some(({ event }) => event.endsWith('.failed'))).toBe(true)
      }
    })
    expect((await send(house, { method: 'GET', path: '/session', headers: coordinator })).status).toBe(200)
  })
})

test('no protected value and no secret is in the log or in an error, whatever goes wrong', async () => {
  const phi = {
    givenName: canary,
    familyName: canary,
    birthDate: '1941-03-27',
    mrn: 'Canary-MRN-1',
    nationalId: 'Canary-9411',
    phone: '+962 79 1234 5678',
    address: 'Canary Street 5',
  }
  const created = await ask(house, 'console', coordinator, create, { input: phi })
  const { id } = (JSON.parse(created.text) as { data: { createRecipient: { id: string } } }).data.createRecipient
  const read = `{ recipient(id: "${id}") { givenName mrn nationalId phone address birthDate } }`
  expect((await ask(house, 'console', coordinator, read)).text).toContain('Canary Street 5')

  const update = `mutation ($input: UpdatePhiInput!) {
    updatePhi(input: $input) { __typename ... on Fault { code message } ... on InvalidFault { issues { path message } } }
  }`
  const wrong: unknown[] = [
    { ...phi, id, version: 99 },
    { ...phi, id, version: 1, birthDate: 'Canary' },
    { ...phi, id, version: 1, phone: 'Canary' },
    { ...phi, id, version: 1, givenName: `${canary}\u202e` },
    { ...phi, id, version: 1, givenName: canary.repeat(50) },
    { ...phi, id: 'Canary', version: 1 },
  ]
  for (const input of wrong) expect((await ask(house, 'console', coordinator, update, { input })).text).not.toMatch(/Canary/)
  for (const body of [`{"query":"${canary}`, `{"query":"{ a }","variables":{"a":"${canary}\\u0000"}}`, `${canary}`]) {
    const answer = await send(house, { path: '/graphql/console', headers: { ...json, ...coordinator }, body })
    expect([answer.status, answer.text.includes('Canary')], answer.text).toEqual([400, false])
  }
  await without('update on care.recipient', 'maristan_console', async () => {
    expect((await ask(house, 'console', coordinator, update, { input: { ...phi, id, version: 1 } })).text).not.toMatch(/Canary/)
  })
  expect((await ask(house, 'console', admin, read)).text).not.toBe('')
  const refused = { input: { email: 'canary@nowhere.test', password: 'Canary password 77' } }
  expect((await ask(house, 'console', { 'x-maristan-tenant': cedar.slug }, signIn, refused)).text).not.toMatch(/canary/i)
  const loud = { ...coordinator, 'user-agent': canary, 'x-request-id': canary }
  await send(house, { method: 'GET', path: '/graphql/console?query=%7Ba%7D&Canary=Canary', headers: loud })
  await send(house, { method: 'GET', path: `/${encodeURIComponent(canary)}`, headers: { cookie: `d_sid=${canary}`, referer: canary } })

  const log = lines.join('\n')
  expect(lines.length).toBeGreaterThan(20)
  expect(log).toContain('http.request')
  const secrets = ['anary', '1941-03-27', '1234 5678', password, coordinator.authorization.slice(-40), '@']
  for (const secret of secrets) expect(log).not.toContain(secret)
})

describe('the codes', () => {
  // In a process of its own: in this one other tests have declared codes of theirs.
  test('are published as they are declared: schema/errors.md is up to date', () => {
    const root = join(import.meta.dirname, '../..')
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/errors.ts'), '--check'], { cwd: root, encoding: 'utf8' })
    expect([status, stderr]).toEqual([0, ''])
  })

  test('are SCREAMING_SNAKE_CASE, each with a sentence', async () => {
    const document = await errorsDocument()
    expect(faultCodes().size).toBeGreaterThan(40)
    for (const code of faultCodes().keys()) {
      expect(code).toMatch(/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/)
      const say = faultSentence(code)
      if (typeof say === 'string') expect(say, code).toMatch(/^[A-Z].{5,}[.a-z]$/)
      expect(document).toMatch(new RegExp(`^\\| \`${code}\` \\| \\w+ \\| \\d{3} \\| \\S.+ \\|$`, 'm'))
    }
    expect(document).not.toMatch(/undefined|\[object|NaN/)
  })
})
