import { hash, verify } from '@node-rs/argon2'
import { hashSync } from 'bcryptjs'
import { expect, it, vi } from 'vitest'
import { argon2Parameters, hashPassword, verifyPassword } from './password.ts'

// The real library, with its calls counted.
vi.mock('@node-rs/argon2', async (original) => {
  const real = await original<typeof import('@node-rs/argon2')>()
  return { ...real, verify: vi.fn(real.verify) }
})

const costOf = (stored: unknown) => {
  const [, memory, passes] = /m=(\d+),t=(\d+)/.exec(String(stored))!
  return Number(memory) * Number(passes)
}

it('costs every failed answer at least one argon2 of the house, whatever is stored or typed', async () => {
  const ours = argon2Parameters.memoryCost * argon2Parameters.timeCost
  const weak = await hash('other', { ...argon2Parameters, memoryCost: 64 })
  for (const stored of [null, 'garbage', hashSync('other', 4), weak, await hashPassword('another one')]) {
    for (const typed of ['a long enough phrase', '', 'x\0']) {
      vi.mocked(verify).mockClear()
      expect(await verifyPassword(stored, typed)).toEqual({ ok: false, upgrade: false })
      const costs = vi.mocked(verify).mock.calls.map(([hashed]) => costOf(hashed))
      expect(Math.max(0, ...costs)).toBe(ours)
    }
  }
})
