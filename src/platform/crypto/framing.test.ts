import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { frame } from './framing.ts'

const text = fc.string({ unit: 'binary', maxLength: 12 })

describe('frame', () => {
  it('writes each part as UTF-8 behind its length in bytes', () => {
    expect(frame(['ab', '', 'س']).toString('hex')).toBe('000000026162' + '00000000' + '00000002d8b3')
  })

  it('gives different bytes to different lists, and the same bytes to the same list', () => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 4 }), fc.array(text, { maxLength: 4 }), (a, b) => {
        expect(frame(a).equals(frame([...a]))).toBe(true)
        expect(frame(a).equals(frame(b))).toBe(JSON.stringify(a) === JSON.stringify(b))
      }),
    )
  })

  it('tells apart lists that only differ in where one part ends', () => {
    const lists = [['ab', 'c'], ['a', 'bc'], ['abc'], ['abc', ''], ['', 'abc'], ['a', 'b', 'c']]
    expect(new Set(lists.map((list) => frame(list).toString('hex'))).size).toBe(lists.length)
  })

  it('refuses lone surrogates, which would all look alike', () => {
    for (const bad of ['\ud800', 'a\udfff', '\udc00\ud800']) expect(() => frame(['good', bad])).toThrow(RangeError)
  })
})
