/** Directories as they speak, over HTTP: every scenario against the running server; what is answered and what a GET shows, byte by byte. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TestTenant } from '../kit/house.ts'
import { scimRig, type Directory, type ScimAnswer, type ScimRig } from '../kit/scim.ts'
import { scenarios } from './dialects/index.ts'
import type { Question, Scenario, Write } from './dialects/scenario.ts'

let rig: ScimRig
let tenant: TestTenant
beforeAll(async () => {
  rig = await scimRig()
  tenant = await rig.house.tenant()
})
afterAll(() => rig.close())

const collectionOf = (name: string) => (name.startsWith('user:') ? '/Users' : '/Groups')

/** A resource without what only the server says. */
function shown({ text }: ScimAnswer): string {
  const { id: _, meta: __, groups: ___, members: ____, ...rest } = JSON.parse(text) as Record<string, unknown>
  return JSON.stringify(rest)
}

/** Walks one scenario through a connection of its own. */
async function walk(scenario: Scenario, directory: Directory): Promise<void> {
  const ids = new Map<string, string>()
  const known = (name: string): string => {
    const id = ids.get(name)
    if (id === undefined) throw new Error(`${name} was not made.`)
    return id
  }
  const read = (name: string) => directory.ask('GET', `${collectionOf(name)}/${known(name)}`)

  const ask = async ({ law, name, filter, finds, excludedAttributes }: Question) => {
    const asked = new URLSearchParams({ filter: filter(known), ...(excludedAttributes === undefined ? {} : { excludedAttributes }) })
    const found = (await directory.ask('GET', `${collectionOf(name)}?${asked}`)).body['Resources'] as Record<string, unknown>[]
    expect(found.map(({ id }) => id), law).toEqual(finds ? [known(name)] : [])
    if (excludedAttributes === undefined) return
    for (const one of found) expect(Object.keys(one), law).not.toContain(excludedAttributes)
    // A group that is asked for whole shows its members, none of them as an empty list.
    if (finds) expect(Object.keys((await read(name)).body), law).toContain(excludedAttributes)
  }

  const write = async ({ law, name, method, body, stored, members, refused }: Write) => {
    const before = method === 'POST' ? null : (await read(name)).text
    const path = method === 'POST' ? collectionOf(name) : `${collectionOf(name)}/${known(name)}`
    const answer = await directory.ask(method, path, body(known))
    if (refused !== undefined) {
      expect([answer.status, answer.body['scimType']], law).toEqual([400, refused])
      expect((await read(name)).text, law).toBe(before)
      return
    }
    expect(answer.status, law).toBe(method === 'POST' ? 201 : answer.text === '' ? 204 : 200)
    if (method === 'POST') ids.set(name, String(answer.body['id']))
    const now = await read(name)
    if (answer.text !== '') expect(shown(answer), law).toBe(JSON.stringify(stored))
    expect(shown(now), law).toBe(JSON.stringify(stored))
    if (members) {
      const held = ((now.body['members'] ?? []) as { value: string }[]).map(({ value }) => value)
      expect(held.toSorted(), law).toEqual(members.map(known).toSorted())
    }
  }

  for (const step of scenario.steps) await ('method' in step ? write(step) : ask(step))
}

describe('over HTTP', () => {
  it.each(scenarios.map((one, at) => [one.dialect, one.title, one, at] as const))('%s: %s', async (_, __, scenario, at) => {
    await walk(scenario, await rig.directory(tenant, `Dialect ${at}`))
  })
})
