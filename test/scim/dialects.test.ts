/** Directories as they speak: every step of every scenario through the engine, the stored resource compared byte by byte. */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AttributeMap, MemberStep, ResourceName } from '../../src/modules/federation/scim/engine.ts'
import { Fault } from '../../src/kernel/fault.ts'
import { patchGroup } from '../../src/modules/federation/scim/patch/patch-group.ts'
import { patchUser } from '../../src/modules/federation/scim/patch/patch-user.ts'
import { groupColumns, userColumns } from '../../src/modules/federation/scim/schema/columns.ts'
import { scimTypeOf } from '../../src/modules/federation/scim/schema/faults.ts'
import { present } from '../../src/modules/federation/scim/schema/present.ts'
import { readGroup } from '../../src/modules/federation/scim/schema/read-group.ts'
import { readUser } from '../../src/modules/federation/scim/schema/read-user.ts'
import { scimTables, type ScimTables } from '../kit/scim-tables.ts'
import { scenarios } from './dialects/index.ts'
import type { Write } from './dialects/scenario.ts'

/** An id that a name always has, so that every step can be replayed alone. */
function known(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

interface Held {
  readonly attributes: AttributeMap
  readonly members: readonly string[]
}

const kindOf = (name: string): ResourceName => (name.startsWith('user:') ? 'User' : 'Group')

function carry(members: readonly string[], steps: readonly MemberStep[]): readonly string[] {
  let held = members
  for (const step of steps) {
    if (step.do === 'removeWhere') throw new Error('No dialect removes members so.')
    if (step.do === 'set') held = step.userIds
    else if (step.do === 'remove') held = held.filter((id) => !step.userIds.includes(id))
    else held = [...new Set([...held, ...step.userIds])]
  }
  return held
}

/** One request: the body travels as JSON text, as it does in reality. */
function write({ name, method, body }: Write, held: Held | undefined): Held {
  const json: unknown = JSON.parse(JSON.stringify(body(known)))
  const before = held ?? { attributes: {}, members: [] }
  if (kindOf(name) === 'User') {
    if (method === 'PATCH') return { ...before, attributes: patchUser(before.attributes, json).columns.attributes }
    return { ...before, attributes: readUser(json, method === 'PUT' ? before.attributes : undefined).attributes }
  }
  if (method === 'PATCH') {
    const patched = patchGroup(before.attributes, json)
    return { attributes: patched.columns.attributes, members: carry(before.members, patched.members) }
  }
  const read = readGroup(json)
  return { attributes: read.columns.attributes, members: read.members ?? before.members }
}

function shown(name: string, { attributes }: Held): string {
  const at = new Date(0)
  const {
    id: _,
    meta: __,
    ...rest
  } = present(kindOf(name), { id: known(name), attributes, createdAt: at, updatedAt: at, version: 1 }, 'https://x.test')
  return JSON.stringify(rest)
}

let ground: ScimTables
beforeAll(async () => void (ground = await scimTables()))
afterAll(() => ground.close())

/** The rows that the filter of a question is asked over. */
async function lay(held: ReadonlyMap<string, Held>): Promise<void> {
  for (const table of ['user', 'user_value', 'group', 'group_member']) await ground.ask(`delete from scim."${table}"`)
  for (const [name, { attributes, members }] of held) {
    if (kindOf(name) === 'User') await ground.addUsers([userColumns(attributes)], undefined, [known(name)])
    else await ground.addGroup(groupColumns(attributes), members, known(name))
  }
}

for (const { dialect, title, steps } of scenarios) {
  describe(`${dialect}: ${title}`, () => {
    /** Everything before step `at`, refusals apart. */
    const before = (at: number): Map<string, Held> => {
      const held = new Map<string, Held>()
      for (const step of steps.slice(0, at)) if ('method' in step && !step.refused) held.set(step.name, write(step, held.get(step.name)))
      return held
    }

    test.each(steps.map((step, at) => [step.law, step, at] as const))('%s', async (_, step, at) => {
      const held = before(at)
      expect(step.cites).toMatch(/^https:\/\/(learn\.microsoft\.com|developer\.okta\.com)\//)
      if (!('method' in step)) {
        await lay(held)
        expect(await ground.find(step.filter(known), kindOf(step.name))).toEqual(step.finds ? [known(step.name)] : [])
        return
      }
      if (step.refused) {
        const was = shown(step.name, held.get(step.name)!)
        const run = () => write(step, held.get(step.name))
        expect(run).toThrow(Fault)
        try {
          run()
        } catch (error) {
          expect(scimTypeOf(error as Fault)).toBe(step.refused)
        }
        expect(shown(step.name, held.get(step.name)!)).toBe(was)
        return
      }
      const after = write(step, held.get(step.name))
      expect(shown(step.name, after)).toBe(JSON.stringify(step.stored))
      if (step.members) expect([...after.members].sort()).toEqual(step.members.map(known).sort())
    })
  })
}
