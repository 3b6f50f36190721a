import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { blindTokens, fold, normalised } from './blind.ts'

const key = randomBytes(32)
const tokens = (kind: Parameters<typeof normalised>[0], value: string, field = 'mrn', tenantId = 'tenant-a') =>
  blindTokens(key, tenantId, field, kind, value)

describe('ways of writing that mean the same meet', () => {
  test.each([
    ['alef forms', ['أحمد', 'احمد', 'إحمد', 'آحمد', 'ٱحمد']],
    ['yaa forms', ['علي', 'على', 'علی']],
    ['taa marbuta', ['فاطمة', 'فاطمه']],
    ['tatweel', ['محمد', 'محـــمد']],
    ['diacritics', ['مُحَمَّد', 'محمد', 'مُحمّد']],
    ['hamza on its seat', ['رؤوف', 'رووف']],
    ['the Farsi kaf', ['كريم', 'کریم']],
    ['presentation forms', ['ﻣﺤﻤﺪ', 'محمد']],
    ['Latin accents and case', ['Zoë Müller', 'ZOE MULLER', 'zoe muller']],
    ['the order of words and what is between them', ['Amal Al-Khatib', 'khatib, al  amal']],
  ])('%s', (_, spellings) => {
    expect(new Set(spellings.map((one) => tokens('name', one, 'name').join())).size).toBe(1)
    expect(tokens('name', spellings[0]!, 'name').length).toBeGreaterThan(0)
  })

  test('Arabic and Farsi digits, blanks and hyphens of an identifier', () => {
    for (const same of ['MRN-0042', 'mrn 0042', 'MRN٠٠٤٢', 'mrn۰۰۴۲', 'MRN/0042']) {
      expect(normalised('identifier', same)).toEqual(['mrn0042'])
    }
    expect(normalised('identifier', 'MRN-42')).not.toEqual(normalised('identifier', 'MRN-0042'))
  })

  test('a telephone number with its country, with zeros before it, or as it is dialled at home', () => {
    const home = ['+962 79 123 4567', '00962791234567', '0791234567', '٠٧٩١٢٣٤٥٦٧', '(079) 123-4567']
    expect(new Set(home.map((one) => normalised('phone', one).join())).size).toBe(1)
    expect(normalised('phone', '0791234568')).not.toEqual(normalised('phone', '0791234567'))
  })
})

test('names that differ stay apart: letters are folded, never dropped', () => {
  const names = ['سالم', 'سليم', 'سلمى', 'سلام', 'حسن', 'حسين', 'هدى', 'هادي']
  expect(new Set(names.map((one) => tokens('name', one).join())).size).toBe(names.length)
})

test('nothing is left of a value without letters and digits, and nothing is looked up then', () => {
  for (const kind of ['identifier', 'phone', 'name'] as const) expect(normalised(kind, ' -ـ.- ')).toEqual([])
})

test('folding is done when it is done once', () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => fold(fold(text)) === fold(text)))
})

test('check 73: the same value in another tenant, field or under another key is another token, and no token shows its value', () => {
  const one = tokens('identifier', '12345')
  expect(one).toEqual(tokens('identifier', '12345'))
  expect(one[0]).toMatch(/^[\w-]{22}$/)
  const others = [
    tokens('identifier', '12345', 'nationalId'),
    tokens('identifier', '12345', 'mrn', 'tenant-b'),
    blindTokens(randomBytes(32), 'tenant-a', 'mrn', 'identifier', '12345'),
    tokens('identifier', '12346'),
  ]
  for (const other of others) expect(other).not.toEqual(one)
})
