/**
 * SCIM against scimmy with scimmy-routers and an in-memory store, both over HTTP with one client. Ours stores in a Postgres that writes
 * through to disk, with its audit trail and flight recorder on. Tables show what does not compare: a large group, and how costs grow.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startEmbedded } from '../../../src/platform/db/embedded.ts'
import { prepareTemplate } from '../../kit/postgres.ts'
import { groupBody, patchBody, scimRig, userBody, type Directory, type ScimRig } from '../../kit/scim.ts'
import { interleave, median } from '../kit/interleave.ts'
import { installPeers } from '../kit/peers.ts'
import type { Bench } from '../kit/report.ts'

const people = 10_000
const groupMembers = 50_000
const rowsOfTable = Number(process.env['SCIM_BENCH_ROWS'] ?? 1_000_000)

type Ask = (method: string, path: string, body?: unknown) => Promise<{ status: number; text: string }>

/** Rows as a directory would have made them, past the contract: a million by HTTP would take hours. */
async function seed({ house }: ScimRig, { tenant, connectionId }: Directory, count: number, prefix: string): Promise<void> {
  await house.at.owner(
    `with made as (
       insert into scim."user" (tenant_id, id, connection_id, user_name, user_name_key, external_id, active, attributes, search)
       select $1, gen_random_uuid(), $2, n, n, 'x' || k, true, a, a from generate_series(0, $3::int - 1) k,
         lateral (select $4::text || k || '@example.org') names(n),
         lateral (select jsonb_build_object('userName', n, 'externalId', 'x' || k, 'active', true,
           'emails', jsonb_build_array(jsonb_build_object('value', n, 'type', 'work', 'primary', true)))) as stored(a)
       returning id, user_name)
     insert into scim.user_value (tenant_id, connection_id, user_id, path, key) select $1, $2, id, 'emails.value', user_name from made`,
    [tenant.id, connectionId, count, prefix],
  )
  await house.at.owner('analyze scim."user", scim.user_value')
}

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}

/** Median milliseconds of `times` runs. */
async function medianMs(times: number, work: (k: number) => Promise<unknown>): Promise<number> {
  const all: number[] = []
  for (let k = 0; k < times; k++) all.push(await timed(() => work(k)))
  return Math.round(median(all) * 100) / 100
}

function must(status: number, answer: { status: number; text: string }): void {
  if (answer.status !== status) throw new Error(`Answered ${answer.status} instead of ${status}: ${answer.text.slice(0, 300)}`)
}

export const bench: Bench = async (say) => {
  const folder = join(import.meta.dirname, 'peers')
  installPeers(folder)
  const dataDir = mkdtempSync(join(tmpdir(), 'maristan-bench-'))
  chmodSync(dataDir, 0o711)
  const postgres = await startEmbedded({ dataDir, durable: true, log: () => {} })
  const peer = spawn(process.execPath, ['server.js', String(people)], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
  let rig: ScimRig | null = null
  try {
    const [line] = (await once(peer.stdout, 'data')) as [Buffer]
    const peerUrl = `http://127.0.0.1:${line.toString().trim()}/scim/v2`
    await prepareTemplate(postgres.ownerUrl)
    rig = await scimRig()
    const ours = await rig.directory(await rig.house.tenant())
    say(`Seeding ${people} users.`)
    await seed(rig, ours, people, 'seed')
    const askPeer: Ask = async (method, path, body) => {
      const headers = { authorization: 'Bearer bench', ...(body ? { 'content-type': 'application/scim+json' } : {}) }
      const answer = await fetch(`${peerUrl}${path}`, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) })
      return { status: answer.status, text: await answer.text() }
    }

    /** Waits where the server sheds load: what it refuses so is not measured as done. */
    const askOurs: Ask = async (method, path, body) => {
      for (;;) {
        const answer = await ours.ask(method, path, body)
        if (answer.status !== 503) return answer
        await delay(100)
      }
    }

    let made = 0
    const creating = (ask: Ask) => async () => {
      for (let k = 0; k < 40; k++) must(201, await ask('POST', '/Users', userBody(`made${++made}@example.org`)))
      return 40
    }
    const filtering = (ask: Ask) => async () => {
      for (let k = 0; k < 10; k++) {
        const name = `seed${(k * 997 + made) % people}@example.org`
        const answer = await ask('GET', `/Users?filter=${encodeURIComponent(`userName eq "${name}"`)}`)
        must(200, answer)
        if ((JSON.parse(answer.text) as { totalResults: number }).totalResults !== 1) throw new Error('The filter found nobody.')
      }
      return 10
    }
    const listing = (ask: Ask) => async () => {
      for (let k = 0; k < 5; k++) {
        const answer = await ask('GET', `/Users?startIndex=${1 + k * 100}&count=100`)
        must(200, answer)
        if ((JSON.parse(answer.text) as { Resources: unknown[] }).Resources.length !== 100) throw new Error('The page is not full.')
      }
      return 5
    }
    const cases = { create: creating, filter: filtering, list: listing }
    const figures: Record<string, number> = {}
    const peers: Record<string, number> = {}
    const ratio: Record<string, number> = {}
    for (const [name, side] of Object.entries(cases)) {
      say(`Measuring ${name}.`)
      const found = await interleave([
        { name: 'ours', round: side(askOurs) },
        { name: 'scimmy', round: side(askPeer) },
      ])
      figures[`${name}PerSecond`] = found['ours']!.median
      peers[`${name}PerSecond`] = found['scimmy']!.median
      ratio[`${name}/scimmy`] = found['ours']!.median / found['scimmy']!.median
    }
    peer.kill()

    say(`A group of ${groupMembers}.`)
    const large = await rig.directory(await rig.house.tenant())
    const rounds = 5
    await seed(rig, large, groupMembers + rounds * 1_000, 'member')
    const group = JSON.parse((await large.ask('POST', '/Groups', groupBody('Everybody'))).text) as { id: string }
    const ids = (await rig.house.at.owner('select id from scim."user" where connection_id = $1 order by id', [large.connectionId])).map((row) => String(row['id']))
    await rig.house.at.owner(
      'insert into scim.group_member (tenant_id, connection_id, group_id, user_id) select $1, $2, $3, unnest($4::uuid[])',
      [large.tenant.id, large.connectionId, group.id, ids.slice(0, groupMembers)],
    )
    const addThousandMs = await medianMs(rounds, async (k) => {
      const some = ids.slice(groupMembers + k * 1_000, groupMembers + (k + 1) * 1_000)
      must(204, await large.ask('PATCH', `/Groups/${group.id}`, patchBody({ op: 'add', path: 'members', value: some.map((value) => ({ value })) })))
    })

    const growth: Record<string, unknown>[] = []
    for (const rows of [rowsOfTable / 100, rowsOfTable / 10, rowsOfTable]) {
      say(`A directory of ${rows}.`)
      const grown = await rig.directory(await rig.house.tenant())
      await seed(rig, grown, rows, 'row')
      const get = async (path: string) => must(200, await grown.ask('GET', path))
      const eq = (attribute: string, value: (k: number) => string) =>
        medianMs(9, (k) => get(`/Users?filter=${encodeURIComponent(`${attribute} eq "${value((k * 7919) % rows)}"`)}`))
      const first = JSON.parse((await grown.ask('GET', '/Users?count=100&cursor=')).text) as { nextCursor: string }
      growth.push({
        rows,
        userNameEqMs: await eq('userName', (k) => `row${k}@example.org`),
        externalIdEqMs: await eq('externalId', (k) => `x${k}`),
        emailEqMs: await eq('emails.value', (k) => `row${k}@example.org`),
        cursorPageMs: await medianMs(9, () => get(`/Users?count=100&cursor=${first.nextCursor}`)),
        totalResultsMs: await medianMs(5, () => get('/Users?count=0')),
        deepIndexPageMs: await medianMs(5, () => get(`/Users?count=100&startIndex=${rows - 100}`)),
      })
    }
    return {
      ours: { ...figures, addThousandMembersTo50000Ms: addThousandMs },
      peers: { scimmy: peers },
      ratio,
      guards: {
        ours: 'bearer token looked up in the database at every request, Row Level Security, rate limit, schema checks, audit row, flight recorder, write-through to disk',
        scimmy: 'bearer compared with a constant, schema checks, a Map in memory',
      },
      tables: { growth },
    }
  } finally {
    peer.kill()
    await rig?.close()
    await postgres.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}
