import { setImmediate as turn } from 'node:timers/promises'
import { hash } from '@node-rs/argon2'
import { hashSync } from 'bcryptjs'
import { describe, expect, it } from 'vitest'
import { argon2Parameters, hashPassword, verifyPassword } from './password.ts'

const refused = { ok: false, upgrade: false }
const good = 'a long enough phrase'

describe('hashing', () => {
  it('stores argon2id with the parameters of the house and a new salt each time', async () => {
    const [one, two] = await Promise.all([hashPassword(good), hashPassword(good)])
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(one).not.toBe(two)
    expect(await verifyPassword(one, good)).toEqual({ ok: true, upgrade: false })
  })

  it('takes the same letters typed on two keyboards for one password, and an Arabic passphrase as it is', async () => {
    expect(await verifyPassword(await hashPassword('cafe\u0301 au lait'), 'caf\u00e9 au lait')).toEqual({ ok: true, upgrade: false })
    expect(await verifyPassword(await hashPassword('\uff11\uff12 steps home'), '12 steps home')).toEqual({ ok: true, upgrade: false })
    const arabic = 'مفتاح البيت تحت شجرة الزيتون'
    expect(await verifyPassword(await hashPassword(arabic), arabic)).toEqual({ ok: true, upgrade: false })
    expect(await verifyPassword(await hashPassword(arabic), arabic.slice(1))).toEqual(refused)
  })

  it.each(['', 'x\0yzzzzzzzzzz', '\ud800aaaaaaaaaa', 'x'.repeat(1_025)])('refuses text that cannot be a password (%#)', async (plain) => {
    await expect(hashPassword(plain)).rejects.toThrow(TypeError)
  })
})

describe('verifying', () => {
  it('refuses a wrong password, one with a NUL, a lone surrogate, an empty and an endless one', async () => {
    const stored = await hashPassword(good)
    for (const wrong of ['a long enough phrasE', `${good}\0`, `${good}\ud800`, '', 'x'.repeat(100_000)]) {
      expect(await verifyPassword(stored, wrong)).toEqual(refused)
    }
  })

  it('asks for an upgrade of argon2 weaker than ours, and not of stronger', async () => {
    const weaker = [{ memoryCost: 8_192 }, { timeCost: 1 }, { algorithm: 1 }, { outputLen: 16 }]
    for (const change of weaker) {
      const stored = await hash(good, { ...argon2Parameters, ...change })
      expect(await verifyPassword(stored, good)).toEqual({ ok: true, upgrade: true })
      expect(await verifyPassword(stored, 'wrong password')).toEqual(refused)
    }
    const stronger = await hash(good, { ...argon2Parameters, timeCost: 3, parallelism: 2 })
    expect(await verifyPassword(stronger, good)).toEqual({ ok: true, upgrade: false })
  })

  it('verifies bcrypt of imported users as typed, and asks for an upgrade', async () => {
    const stored = hashSync('Zürich-الرباط', 4)
    for (const version of ['$2a', '$2b', '$2y']) {
      const imported = stored.replace(/^\$2./, version)
      expect(await verifyPassword(imported, 'Zürich-الرباط')).toEqual({ ok: true, upgrade: true })
      expect(await verifyPassword(imported, 'Zurich-الرباط')).toEqual(refused)
    }
  })

  it('compares the 72 bytes that bcrypt saw, and does not upgrade to an end it has not proven', async () => {
    const head = 'é'.repeat(36)
    const stored = hashSync(`${head}tail`, 4)
    expect(await verifyPassword(stored, `${head}tail`)).toEqual({ ok: true, upgrade: false })
    expect(await verifyPassword(stored, `${head}liat`)).toEqual({ ok: true, upgrade: false })
    expect(await verifyPassword(stored, head)).toEqual({ ok: true, upgrade: true })
    expect(await verifyPassword(stored, head.slice(1))).toEqual(refused)
  })

  it('never throws for what is stored, and lets no hash in that costs too much', async () => {
    const bcrypt = hashSync(good, 4)
    const argon2 = await hashPassword(good)
    const stored = [
      null, '', 'garbage', good, '$argon2id$', '$2a$10$', '$'.repeat(10_000),
      argon2.slice(0, -1), `${argon2}A`, ` ${argon2}`, `${argon2}\n`,
      argon2.replace('v=19', 'v=16'), argon2.replace('m=19456', 'm=1'), argon2.replace('m=19456', 'm=999999'),
      argon2.replace('t=2', 't=99'), argon2.replace('p=1', 'p=9'), argon2.replace('p=1', 'p=1,keyid=AA'),
      argon2.replace(/[^$]+$/, 'AAAA'), argon2.replace(/[^$]+$/, 'A'.repeat(44)), argon2.replace(/.$/, '!'),
      bcrypt.replace('$04', '$15'), bcrypt.replace('$04', '$31'), bcrypt.replace('$04', '$03'), bcrypt.replace(/^\$2./, '$2x'),
      bcrypt.slice(0, -1), `${bcrypt}\0`,
    ]
    for (const text of stored) expect(await verifyPassword(text, good)).toEqual(refused)
  })

  it('does not spend the work that a right bcrypt hash of cost 15 asks for', async () => {
    const costly = '$2b$15$IK7KyMySK3ws3ANXKbRWUOklvx92xsKYAUMGMpCTJ04YVZ90IzsO6'
    expect(await verifyPassword(costly, good)).toEqual(refused)
  })

  it('never takes an empty password, not even where the hash of one was imported', async () => {
    for (const stored of [hashSync('', 4), await hash('', argon2Parameters)]) expect(await verifyPassword(stored, '')).toEqual(refused)
  })

  it('does not take any password for the account that does not exist', async () => {
    for (const guess of ['', 'A', good, '\0', 'A'.repeat(43)]) expect(await verifyPassword(null, guess)).toEqual(refused)
  })
})

describe('a flood of sign-ins', () => {
  it('is cut at the bound of the queue, while the event loop goes on turning', async () => {
    const flood = Array.from({ length: 260 }, () => verifyPassword(null, good).then(() => 'served', (error) => error.code))
    let turns = 0
    let over = false
    const all = Promise.all(flood).finally(() => (over = true))
    while (!over) {
      await turn()
      turns++
    }
    const answers = await all
    expect(answers.filter((answer) => answer === 'served')).toHaveLength(202)
    expect(answers.filter((answer) => answer === 'OVERLOADED')).toHaveLength(58)
    expect(turns).toBeGreaterThan(202)
    expect(await verifyPassword(null, good)).toEqual(refused)
  })
})
