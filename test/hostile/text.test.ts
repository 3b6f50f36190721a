/** Human text in every script comes back as it went in; text that hides, forges or breaks something does not come in at all. */
import { getNamedType, isInputObjectType, type GraphQLArgument, type GraphQLField, type GraphQLInputField } from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { planes } from '../../src/kernel/scope.ts'
import { rolesOf } from '../../src/modules/access/contract.ts'
import { guessableFields } from '../../src/modules/identity/contract.ts'
import { argumentsOf } from '../../src/proof/graph-shape.ts'
import { freshHouse, type TestHouse, type TestTenant } from '../kit/house.ts'
import { ask, codeIn, json, send, statementsDuring, type Answered } from './arena.ts'

let house: TestHouse
let cedar: TestTenant
let coordinator: { authorization: string }

beforeAll(async () => {
  house = await freshHouse()
  cedar = await house.tenant()
  coordinator = { authorization: `Bearer ${await house.signIn(cedar, 'care_coordinator')}` }
})
afterAll(() => house.close())

const create = `mutation ($input: CreateRecipientInput!) {
  createRecipient(input: $input) { __typename ... on CareRecipient { id } ... on InvalidFault { code issues { path message } } }
}`

interface Created {
  readonly id?: string
  readonly code?: string
  readonly issues?: { path: string }[]
}

const createRecipient = async (input: object): Promise<Created> => {
  const answer = await ask(house, 'console', coordinator, create, { input })
  expect(answer.status, answer.text).toBe(200)
  return (JSON.parse(answer.text) as { data: { createRecipient: Created } }).data.createRecipient
}

describe('human text', () => {
  test('round-trips exactly, in every script', async () => {
    const names = [
      'مُحَمَّدٌ عَبْدُ ٱلرَّحْمٰنِ',
      'فَاطِمَة ٱلزَّهْرَاء',
      'نور‌الدین',
      'عائشة ﷺ',
      'Zoë Ångström-Nuñez',
      '𠮷野 𝒜𝓂𝒶𝓁',
      '👩🏽‍⚕️ Amal 🌿',
      'שָׁלוֹם',
      'क्षत्रिय',
      "O'Brien; drop table care.recipient; --",
      '<script>alert(1)</script>',
      '${jndi:ldap://x} {{7*7}} %s %00 \\u0000',
      'null',
      '\u{1f1ef}\u{1f1f4}',
      'x'.repeat(120),
      '𠮷'.repeat(120),
    ]
    for (const name of names) {
      expect(name, 'is given in NFC').toBe(name.normalize('NFC'))
      const { id } = await createRecipient({ givenName: name, familyName: name, address: name })
      const read = '($id: ID!) { recipient(id: $id) { givenName familyName address } }'
      const answer = await ask(house, 'console', coordinator, `query ${read}`, { id })
      expect(JSON.parse(answer.text), name).toEqual({ data: { recipient: { givenName: name, familyName: name, address: name } } })
      // The wire itself, not only what JSON makes of it.
      expect(Buffer.from(answer.text).includes(Buffer.from(JSON.stringify(name).slice(1, -1)))).toBe(true)
    }
  })

  test('of two spellings is kept in one: composed, trimmed', async () => {
    const { id } = await createRecipient({ givenName: '  Zoe\u0308 \u0645\u064f\u062d\u064e\u0645\u0651\u064e\u062f  ' })
    const answer = await ask(house, 'console', coordinator, 'query ($id: ID!) { recipient(id: $id) { givenName } }', { id })
    const expected = 'Zo\u00eb \u0645\u064f\u062d\u064e\u0645\u0651\u064e\u062f'.normalize('NFC')
    expect((JSON.parse(answer.text) as { data: unknown }).data).toEqual({ recipient: { givenName: expected } })
  })
})

/** Bidi embeddings, overrides and isolates, marks, invisible formatting, controls, separators, private and unassigned characters. */
const hidden = [
  '\u202a', '\u202b', '\u202c', '\u202d', '\u202e', '\u2066', '\u2067', '\u2068', '\u2069', '\u200e', '\u200f', '\u061c',
  '\u200b', '\ufeff', '\u2060', '\u00ad', '\u180e', '\u{e0041}', '\ufff9', '\u0007', '\u001b[31m', '\u007f', '\u0085',
  '\n', '\r\n', '\t', '\u2028', '\u2029', '\ue000', '\u{10ffff}', '\uffff',
]

test('text that hides or forges what a reader sees is refused, field by field', async () => {
  for (const part of hidden) {
    for (const field of ['givenName', 'familyName', 'address', 'mrn', 'nationalId']) {
      const refused = await createRecipient({ givenName: 'Amal', [field]: `Am${part}al` })
      expect([refused.code, refused.issues?.[0]?.path], `${field} ${JSON.stringify(part)}`).toEqual(['INVALID_INPUT', field])
    }
  }
  const party = 'mutation ($input: CreatePartyInput!) { createParty(input: $input) { __typename ... on Fault { code } } }'
  for (const part of ['\u202e', '\u2067', '\n', '\ufeff']) {
    const answer = await ask(house, 'console', coordinator, party, { input: { kind: 'FAMILY', name: `a${part}b` } })
    expect(answer.text, JSON.stringify(part)).toContain('INVALID_INPUT')
  }
  expect((await ask(house, 'console', coordinator, party, { input: { kind: 'FAMILY', name: 'a b' } })).text).toContain('CareParty')
})

type Input = GraphQLArgument | GraphQLInputField

/** Every place of a field that takes free text or an id, as its path. */
function textPlaces(field: GraphQLField<unknown, unknown>): string[][] {
  const below = (input: Input, path: string[]): string[][] => {
    const named = getNamedType(input.type)
    const here = [...path, input.name]
    if (isInputObjectType(named)) return Object.values(named.getFields()).flatMap((one) => below(one, here))
    return ['String', 'ID', 'DateTime'].includes(named.name) ? [here] : []
  }
  return field.args.flatMap((argument) => below(argument, []))
}

/** The arguments with `text` in one place. */
function withText(field: GraphQLField<unknown, unknown>, path: readonly string[], text: string): Record<string, unknown> {
  const place = { path, kind: 'id', required: false, list: false } as const
  return argumentsOf(field, {}, [[place, text]])
}

/** Fields that are the same on several planes are tried on one. */
const survived = new Set<string>()

describe.each(planes.filter((plane) => plane !== 'integrator'))('every place for text on the %s plane', (plane) => {
  const each = async (act: (ask: (given: unknown) => Promise<Answered>, name: string, field: string, path: string[]) => Promise<void>) => {
    const authorization = `Bearer ${await house.signIn(cedar, rolesOf(plane)[0]!)}`
    const schema = house.composed.schemas.plane[plane]
    for (const [kind, root] of [['query', schema.getQueryType()], ['mutation', schema.getMutationType()]] as const) {
      for (const field of Object.values(root?.getFields() ?? {})) {
        for (const path of textPlaces(field)) {
          const head = field.args.map((one) => `$${one.name}: ${String(one.type)}`).join(', ')
          const call = field.args.map((one) => `${one.name}: $${one.name}`).join(', ')
          const fault = getNamedType(field.type).name.endsWith('Result') ? '... on Fault { code message }' : ''
          const document = `${kind} (${head}) { ${field.name}(${call}) { __typename ${fault} } }`
          const put = (text: unknown) => ask(house, plane, { authorization }, document, withText(field, path, text as string))
          await act(put, `${kind}.${field.name} ${path.join('.')}`, field.name, path)
        }
      }
    }
  }

  test('refuses NUL and half a surrogate pair before anything is looked up', async () => {
    let places = 0
    await each(async (put, name) => {
      places++
      for (const text of ['a\0b', '\ud83dx']) {
        const count = await statementsDuring(async () => {
          const answer = await put(text)
          expect([answer.status, codeIn(answer)], `${name}: ${answer.text}`).toEqual([400, 'BAD_TEXT'])
        })
        expect(count, name).toBe(0)
      }
    })
    expect(places).toBeGreaterThan(5)
  })

  test('survives whatever else is written there', async () => {
    const moments = ['0000-01-01T00:00:00Z', '9999-12-31T23:59:59-23:59']
    const cruel = ['', '\u202eevil', "' or 1=1; --", ...moments, 'x'.repeat(60_000), '\ufffe\uffff\u2028']
    await each(async (put, name, field) => {
      if (survived.has(name)) return
      survived.add(name)
      // Guesses are slowed down and cost a hash each: a few of them tell as much.
      for (const text of (guessableFields as readonly string[]).includes(field) ? cruel.slice(0, 2) : cruel) {
        const answer = await put(text)
        expect([200, 400], `${name} ${text.slice(0, 30)}: ${answer.text}`).toContain(answer.status)
        expect(answer.text, `${name} ${text.slice(0, 30)}`).not.toMatch(/INTERNAL|"UNAVAILABLE/)
      }
    })
  })
})

test('NUL and half a pair are refused in the document itself too, and named by their escapes', async () => {
  const party = (name: string) => `mutation { createParty(input: { kind: FAMILY, name: ${name} }) { __typename ... on Fault { code } } }`
  expect((await ask(house, 'console', coordinator, party('"Nour \\u{1F33F}"'))).text).toContain('CareParty')
  for (const name of ['"a\\u0000b"', '"\\uD83D"', '"a\\u{0}b"', '"""a\0b"""']) {
    const answer = await ask(house, 'console', coordinator, party(name))
    expect([answer.status, /BAD_TEXT|GRAPHQL_PARSE_FAILED/.test(codeIn(answer) ?? '')], `${name} ${answer.text}`).toEqual([400, true])
  }
  const escaped = `{"query":${JSON.stringify(party('$n').replace('mutation', 'mutation ($n: String!)'))},"variables":{"n":"\\ud83d"}}`
  const answer = await send(house, { path: '/graphql/console', headers: { ...json, ...coordinator }, body: escaped })
  expect([answer.status, codeIn(answer)]).toEqual([400, 'BAD_TEXT'])
})
