/** The offline verifier against an owner of the database whom nothing stops: it names the first bent line, or says that all is whole. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../src/kernel/id.ts'
import { systemCaller } from '../src/platform/jobs/system.ts'
import { freshHouse, type TestHouse } from './kit/house.ts'
import { bend, openLedger, recompute, type Ledger } from './kit/ledger.ts'
import { describe as describeReport, digestOf } from '../verifier/maristan-audit-verify.mjs'

const tenantId = newId()
const recipient = newId()
let house: TestHouse
let ledger: Ledger
let sealedLines = 0

async function leave(count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    await house.database.unit(systemCaller(tenantId, 'suite', `request "${n}" \u00e9\u0643\u{1f600}`)).command(async (scope) => {
      const subjectId = n % 3 === 0 ? recipient : null
      scope.unit.record({ action: 'test.done', resource: 'CareRecipient', subjectId, outcome: 'done', detail: { n, half: 0.5, words: ['\t', '/'] } })
    })
  }
  sealedLines += await ledger.sealer.sealAll()
}

beforeAll(async () => {
  house = await freshHouse()
  ledger = openLedger(house)
  // Two checkpoints: after 12 lines and after 20; then three lines that nobody has signed yet.
  await ledger.sealer.sealAll()
  sealedLines = 0
  await leave(12)
  await ledger.checkpoints.anchor()
  await leave(8)
  await ledger.checkpoints.anchor()
  await leave(3)
  await house.at.owner('create schema kept')
  for (const table of ['event', 'link']) await house.at.owner(`create table kept.${table} as select * from audit.${table}`)
})
afterAll(async () => {
  await ledger?.close()
  await house?.close()
})

/** The lines an export itself leaves are no part of what is bent. */
const pristine = () =>
  bend(house.at.ownerUrl, async (client) => {
    for (const table of ['event', 'link']) await client.query(`delete from audit.${table}; insert into audit.${table} select * from kept.${table}`)
  })
afterEach(pristine)

const linkOf = "(select l.event_id from audit.link l where l.tenant_id = $1 and l.seq = $2)"

const bends: Record<string, { how: (client: pg.Client) => Promise<unknown>; seq: number; problem: string }> = {
  'an edited line': {
    how: (client) => client.query(`update audit.event set outcome = 'denied' where tenant_id = $1 and id = ${linkOf}`, [tenantId, 5]),
    seq: 5,
    problem: 'edited',
  },
  'an edited line of the unanchored tail': {
    how: (client) => client.query(`update audit.event set detail = '{"n": 9}' where tenant_id = $1 and id = ${linkOf}`, [tenantId, 22]),
    seq: 22,
    problem: 'edited',
  },
  'an edited moment, by a microsecond': {
    how: (client) =>
      client.query(
        `with moved as (update audit.event set at = at + interval '1 microsecond' where tenant_id = $1 and id = ${linkOf} returning id, at)
         update audit.link l set at = moved.at from moved where l.event_id = moved.id`,
        [tenantId, 4],
      ),
    seq: 4,
    problem: 'edited',
  },
  'a deleted line': {
    how: (client) => client.query(`delete from audit.event where tenant_id = $1 and id = ${linkOf}`, [tenantId, 5]),
    seq: 5,
    problem: 'deleted',
  },
  'a line deleted with its link': {
    how: async (client) => {
      await client.query(`delete from audit.event where tenant_id = $1 and id = ${linkOf}`, [tenantId, 7])
      await client.query('delete from audit.link where tenant_id = $1 and seq = 7', [tenantId])
    },
    seq: 7,
    problem: 'deleted',
  },
  'a deleted line, the rest numbered anew': {
    how: async (client) => {
      await client.query(`delete from audit.event where tenant_id = $1 and id = ${linkOf}`, [tenantId, 7])
      await client.query('delete from audit.link where tenant_id = $1 and seq = 7', [tenantId])
      await client.query('update audit.link set seq = seq - 1 where tenant_id = $1 and seq > 7', [tenantId])
    },
    seq: 7,
    problem: 'deleted',
  },
  'two lines that changed places': {
    how: (client) =>
      client.query(
        `with pair as (select seq, event_id, at from audit.link where tenant_id = $1 and seq in (6, 9))
         update audit.link l set event_id = other.event_id, at = other.at from pair other
         where l.tenant_id = $1 and l.seq in (6, 9) and other.seq = 15 - l.seq`,
        [tenantId],
      ),
    seq: 6,
    problem: 'reordered',
  },
  'a chain cut short of its checkpoint': {
    how: async (client) => {
      await client.query(
        'delete from audit.event where tenant_id = $1 and id in (select event_id from audit.link where tenant_id = $1 and seq > 15)',
        [tenantId],
      )
      await client.query('delete from audit.link where tenant_id = $1 and seq > 15', [tenantId])
    },
    seq: 16,
    problem: 'truncated',
  },
  'a second line with the same number': {
    how: (client) =>
      client.query(
        `insert into audit.link (tenant_id, seq, at, event_id, epoch, xid, prev_hash, row_hash)
         select tenant_id, 8, at + interval '1 s', event_id, epoch, xid, prev_hash, sha256(row_hash) from audit.link
         where tenant_id = $1 and seq = 8`,
        [tenantId],
      ),
    seq: 8,
    problem: 'forked',
  },
  'a line put under another one than its own': {
    how: async (client) => {
      await client.query('update audit.link set prev_hash = sha256(prev_hash) where tenant_id = $1 and seq = 10', [tenantId])
      await recompute(client, tenantId, 10)
    },
    seq: 10,
    problem: 'forked',
  },
  'a line edited and the chain computed anew after it': {
    how: async (client) => {
      await client.query(`update audit.event set actor_kind = 'member' where tenant_id = $1 and id = ${linkOf}`, [tenantId, 6])
      await recompute(client, tenantId, 6)
    },
    seq: 6,
    problem: 'recomputed',
  },
  'a line deleted, numbered anew and computed anew': {
    how: async (client) => {
      await client.query(`delete from audit.event where tenant_id = $1 and id = ${linkOf}`, [tenantId, 14])
      await client.query('delete from audit.link where tenant_id = $1 and seq = 14', [tenantId])
      await client.query('update audit.link set seq = seq - 1 where tenant_id = $1 and seq > 14', [tenantId])
      await client.query(
        `update audit.link l set prev_hash = before.row_hash from audit.link before
         where l.tenant_id = $1 and before.tenant_id = $1 and l.seq = 14 and before.seq = 13`,
        [tenantId],
      )
      await recompute(client, tenantId, 14)
    },
    seq: 14,
    problem: 'recomputed',
  },
  'a line put in afterwards': {
    how: (client) =>
      client.query(
        `insert into audit.event select tenant_id, $3, at, actor_kind, actor_id, plane, 'test.smuggled', resource, resource_id, subject_id,
           outcome, purpose, request_id, session_id, sign_in_method, source_address, user_agent, detail, epoch, xid
         from audit.event where tenant_id = $1 and id = ${linkOf}`,
        [tenantId, 3, newId()],
      ),
    seq: 24,
    problem: 'inserted',
  },
}

describe('as the owner of the database, past every wall:', () => {
  test.each(Object.entries(bends))('check 74: %s is named', async (_, { how, seq, problem }) => {
    await bend(house.at.ownerUrl, async (client) => void (await how(client)))
    const { ok, firstBad } = await ledger.verify(await ledger.export(tenantId))
    expect({ ok, seq: firstBad?.seq, problem: firstBad?.problem }, firstBad?.sentence).toEqual({ ok: false, seq, problem })
  })

  test('check 75: a tail that was replaced by another, sealed as it should be, is found by the head held elsewhere', async () => {
    await bend(house.at.ownerUrl, async (client) => void (await bends['a chain cut short of its checkpoint']!.how(client)))
    for (const n of [1, 2, 3, 4, 5, 6, 7, 8, 9]) {
      await house.database.unit(systemCaller(tenantId, 'suite', `other ${n}`)).command(async (scope) =>
        scope.unit.record({ action: 'test.other', resource: 'Tenant', outcome: 'done' }),
      )
    }
    await ledger.sealer.sealAll()
    const { code, report, said } = await ledger.verifyAlone(await ledger.export(tenantId))
    expect({ code, bad: report?.firstBad }, said).toMatchObject({ code: 1, bad: { seq: 16, problem: 'recomputed' } })
  })
})

describe('what nobody bent', () => {
  test('is whole, up to a tail that nobody has signed and that is said', async () => {
    const { code, report, said } = await ledger.verifyAlone(await ledger.export(tenantId))
    expect({ code, ...report }, said).toMatchObject({
      code: 0,
      ok: true,
      rows: 23,
      checkpoints: 2,
      from: 1,
      head: { seq: 23 },
      anchored: { seq: 20 },
      unanchored: { rows: 3, from: 21, unsealed: 0 },
      firstBad: null,
    })
    expect(sealedLines).toBe(23)
  })

  test('is said in words, whole or bent, with the tail that nobody has signed', async () => {
    const batches = await ledger.export(tenantId)
    const whole = await ledger.verify(batches)
    expect(describeReport(whole).split('\n')).toEqual([
      'WHOLE',
      `tenant ${tenantId}: 23 lines from 1, head 23 ${whole.head.hash}`,
      `2 signed checkpoints; anchored up to line 20, signed at ${whole.anchored!.at}`,
      'unanchored tail: 3 lines from 21, and 0 not yet sealed',
    ])
    const bent = describeReport(await ledger.verify([batches.join('').replace('"outcome":"done"', '"outcome":"gone"')]))
    expect(bent).toMatch(/^BENT at line 1: edited\. Line 1 is not what was sealed\. Event [0-9a-f-]{36}\.\n/)
  })

  test('tells of a line whose words were taken out behind its digest, which would else look like one that nobody asked for', async () => {
    const lines = (await ledger.export(tenantId)).join('').trimEnd().split('\n')
    const { event, ...rest } = JSON.parse(lines[7]!) as { event: object }
    const report = await ledger.verify([lines.with(7, JSON.stringify({ ...rest, digest: digestOf(event)!.toString('hex') })).join('\n')])
    expect(report).toMatchObject({ ok: true, rows: 23, withheld: 1, notes: [expect.stringMatching(/^1 of the lines are shown by their digest alone/)] })
    expect(describeReport(report)).toContain('1 of the lines')
    expect(await ledger.verify(await ledger.export(tenantId))).toMatchObject({ withheld: 0, notes: [] })
  })

  test('is whole in batches too: together, and each as a part', async () => {
    const batches = await ledger.export(tenantId, 7)
    expect(batches).toHaveLength(4)
    expect(await ledger.verify(batches)).toMatchObject({ ok: true, rows: 23 })
    const part = await ledger.verifyAlone([batches[1]!], ['--partial'])
    expect(part.report).toMatchObject({ ok: true, rows: 7, from: 8, head: { seq: 14 } })
    expect(await ledger.verify([batches[1]!])).toMatchObject({ ok: false, firstBad: { seq: 1, problem: 'deleted' } })
    expect((await ledger.verify([batches[0]!, batches[2]!])).firstBad).toMatchObject({ seq: 8, problem: 'deleted' })
  })

  test('is whole where only one recipient’s lines are shown, and shows no other', async () => {
    const batches = await ledger.export(tenantId, 1_000, { subjectId: recipient })
    expect(await ledger.verify(batches)).toMatchObject({ ok: true, rows: 23, withheld: 15 })
    const shown = batches.join('').split('\n').filter((line) => line.includes('"event":'))
    expect(shown).toHaveLength(8)
    for (const line of shown) expect(line).toContain(`"subject_id":"${recipient}"`)
  })
})

describe('a file that was bent on its way', () => {
  const changes: Record<string, { change: (lines: string[]) => string[]; seq: number; problem: string }> = {
    'edited': { change: (lines) => lines.with(5, lines[5]!.replace('test.done', 'test.gone')), seq: 5, problem: 'edited' },
    'with a column more': { change: (lines) => lines.with(5, lines[5]!.replace('"action"', '"note":"x","action"')), seq: 5, problem: 'edited' },
    'a line short': { change: (lines) => lines.toSpliced(5, 1), seq: 5, problem: 'deleted' },
    'out of order': { change: (lines) => lines.with(5, lines[6]!).with(6, lines[5]!), seq: 5, problem: 'reordered' },
    'with a line twice': { change: (lines) => lines.toSpliced(5, 0, lines[5]!), seq: 5, problem: 'forked' },
    'cut off': { change: (lines) => lines.slice(0, 22), seq: 22, problem: 'truncated' },
    'cut in a line': { change: (lines) => [...lines.slice(0, 22), lines[22]!.slice(0, 40)], seq: 22, problem: 'malformed' },
    'without its head': { change: (lines) => lines.slice(1), seq: 0, problem: 'malformed' },
    'of nothing': { change: () => [], seq: 0, problem: 'malformed' },
  }
  test.each(Object.entries(changes))('%s is named', async (_, { change, seq, problem }) => {
    const lines = (await ledger.export(tenantId)).join('').trimEnd().split('\n')
    const { ok, firstBad } = await ledger.verify([change(lines).join('\n')])
    expect({ ok, seq: firstBad?.seq, problem: firstBad?.problem }, firstBad?.sentence).toEqual({ ok: false, seq, problem })
  })
})

describe('what is kept outside', () => {
  const kept = () => {
    const folder = join(ledger.directory, 'kept/checkpoints')
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
  }

  test('is readable by its owner alone, holds no line of the trail, and is one file a round', () => {
    expect(kept()).toHaveLength(2)
    for (const path of kept()) {
      expect(statSync(path).mode & 0o777).toBe(0o600)
      expect(readFileSync(path, 'utf8')).not.toMatch(/test\.done|request/)
    }
  })

  test('a checkpoint that was edited, or signed with another key, is refused; a key of another kind too', async () => {
    const batches = await ledger.export(tenantId)
    const path = kept().at(-1)!
    const before = readFileSync(path, 'utf8')
    writeFileSync(path, before.replaceAll(/\\"seq\\":20/g, '\\"seq\\":19'))
    expect((await ledger.verify(batches)).firstBad).toMatchObject({ problem: 'checkpoint', sentence: 'A checkpoint has a wrong signature.' })
    writeFileSync(path, before)
    const stranger = generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' })
    writeFileSync(join(ledger.directory, 'stranger.pem'), stranger)
    expect((await ledger.verifyAlone(batches, ['--key', 'stranger.pem'])).report?.ok).toBe(true)
    const key = readFileSync(join(ledger.directory, 'key.json'), 'utf8')
    writeFileSync(join(ledger.directory, 'key.json'), stranger)
    expect((await ledger.verify(batches)).firstBad).toMatchObject({ problem: 'checkpoint' })
    writeFileSync(join(ledger.directory, 'key.json'), 'no key')
    expect((await ledger.verifyAlone(batches)).code).toBe(2)
    writeFileSync(join(ledger.directory, 'key.json'), key)
    expect((await ledger.verify(batches)).ok).toBe(true)
  })
})
