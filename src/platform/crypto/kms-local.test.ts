import { chmod, chown, copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openLocalKms } from './kms-local.ts'
import { keysUnavailable } from './kms.ts'

let directory: string
let file: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'maristan-kms-'))
  file = join(directory, 'kms.json')
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

/** The sentence with which the key file is refused; refused also when a key may be created. */
async function refusal(path = file): Promise<string> {
  const sentences = await Promise.all(
    [false, true].map((mayCreate) =>
      openLocalKms({ file: path, mayCreate }).then(
        () => 'opened',
        (error: unknown) => (keysUnavailable.is(error) && error.kind === 'unavailable' ? error.message : String(error)),
      ),
    ),
  )
  expect(sentences[1]).toBe(sentences[0])
  return sentences[0]!
}

describe('the local key file', () => {
  it('is made once, whole, for its owner alone, and stays the same key', async () => {
    const kms = await openLocalKms({ file, mayCreate: true })
    const text = await readFile(file, 'utf8')
    expect(JSON.parse(text)).toEqual({ version: 1, keyId: kms.keyId, key: expect.stringMatching(/^[\w-]{43}$/) })
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await readdir(directory)).toEqual(['kms.json'])
    for (const mayCreate of [true, false]) expect((await openLocalKms({ file, mayCreate })).keyId).toBe(kms.keyId)
    expect(await readFile(file, 'utf8')).toBe(text)
  })

  it('is one and the same for servers that start at once', async () => {
    // Starts spread over a few ticks, so that some find the file missing and then made by another.
    const startLater = async (path: string, ticks: number) => {
      for (let tick = 0; tick < ticks; tick++) await new Promise((resolve) => setImmediate(resolve))
      return openLocalKms({ file: path, mayCreate: true })
    }
    const names = Array.from({ length: 20 }, (_, round) => `kms-${String(round).padStart(2, '0')}.json`)
    for (const name of names) {
      const opened = await Promise.all(Array.from({ length: 12 }, (_, ticks) => startLater(join(directory, name), ticks)))
      expect(new Set(opened.map((kms) => kms.keyId)).size).toBe(1)
    }
    expect((await readdir(directory)).sort()).toEqual(names)
  })

  it('is never made where sealed rows already exist', async () => {
    const opening = openLocalKms({ file, mayCreate: false })
    await expect(opening).rejects.toThrow('a key is never made where sealed rows already exist')
    await expect(opening).rejects.toMatchObject({ code: 'KEYS_UNAVAILABLE', kind: 'unavailable' })
    expect(await readdir(directory)).toEqual([])
  })

  it('is refused when anybody else may use it', async () => {
    await openLocalKms({ file, mayCreate: true })
    for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666, 0o777]) {
      await chmod(file, mode)
      expect(await refusal()).toContain('chmod 600')
    }
    await chmod(file, 0o400)
    expect(await refusal()).toBe('opened')
  })

  it('is refused when it belongs to another user', async () => {
    await openLocalKms({ file, mayCreate: true })
    const isRoot = process.geteuid?.() === 0
    if (isRoot) await chown(file, 65_534, 65_534)
    // Only root can give a file away; for everybody else a file of root's will do.
    expect(await refusal(isRoot ? file : '/etc/hosts')).toContain('belongs to another user')
  })

  it('is refused as a symbolic link, dangling or not, and as anything that is no file', async () => {
    await openLocalKms({ file, mayCreate: true })
    const linked = join(directory, 'link.json')
    await symlink(file, linked)
    expect(await refusal(linked)).toContain('symbolic link')
    const dangling = join(directory, 'dangling.json')
    await symlink(join(directory, 'nowhere'), dangling)
    expect(await refusal(dangling)).toContain('symbolic link')
    await mkdir(join(directory, 'folder'))
    expect(await refusal(join(directory, 'folder'))).toContain('not a regular file')
    expect(await refusal()).toBe('opened')
  })

  it('is refused when empty, cut off, too large or malformed, without telling what is in it', async () => {
    await openLocalKms({ file, mayCreate: true })
    const good = await readFile(file, 'utf8')
    const { version, keyId, key } = JSON.parse(good) as { version: number; keyId: string; key: string }
    const bad: [content: string, sentence: string][] = [
      ['', 'is empty'],
      [good.slice(0, -3), 'not JSON'],
      [key, 'not JSON'],
      [' '.repeat(1025), 'too large'],
      ...[
        [],
        null,
        { keyId, key },
        { version: 2, keyId, key },
        { version: '1', keyId, key },
        { version, key },
        { version, keyId: '', key },
        { version, keyId },
        { version, keyId, key: key.slice(1) },
        { version, keyId, key: `${key}A` },
        { version, keyId, key: `${key.slice(0, -1)}B` },
        { version, keyId, key: `${key}=` },
        { version, keyId, key: `${key.slice(0, -2)}+A` },
        { version, keyId, key, more: true },
      ].map((content): [string, string] => [JSON.stringify(content), 'not a key file of version 1']),
    ]
    for (const [content, sentence] of bad) {
      await writeFile(file, content)
      const said = await refusal()
      expect(said).toContain(sentence)
      expect(said).not.toContain(key.slice(0, 8))
    }
    await writeFile(file, good)
    expect(await refusal()).toBe('opened')
  })

  it('is refused with a sentence when its directory is missing', async () => {
    await expect(openLocalKms({ file: join(directory, 'none', 'kms.json'), mayCreate: true })).rejects.toThrow('Make its directory')
  })
})

describe('the local KMS', () => {
  const context = { tenant: 'tenant-a', purpose: 'phi' }

  async function expectRefused(unwrapping: Promise<unknown>): Promise<void> {
    await expect(unwrapping).rejects.toMatchObject({ code: 'KEYS_UNAVAILABLE', kind: 'unavailable' })
  }

  it('unwraps what it made, also after a restart and with the context in another order', async () => {
    const { key, wrapped, keyId } = await (await openLocalKms({ file, mayCreate: true })).generate(context)
    const again = await openLocalKms({ file, mayCreate: false })
    expect(again).toMatchObject({ provider: 'local', keyId })
    expect((await again.unwrap(wrapped, keyId, { purpose: 'phi', tenant: 'tenant-a' })).equals(key)).toBe(true)
    const other = await again.generate(context)
    expect(key.length).toBe(32)
    expect(other.key.equals(key)).toBe(false)
    expect(other.wrapped).not.toBe(wrapped)
  })

  it('needs exactly the context of the wrap', async () => {
    const kms = await openLocalKms({ file, mayCreate: true })
    const { key, wrapped, keyId } = await kms.generate(context)
    const others = [
      { ...context, tenant: 'tenant-b' },
      { ...context, purpose: '' },
      { tenant: 'tenant-ap', purpose: 'hi' },
      { purpose: 'tenant-a', tenant: 'phi' },
    ]
    for (const other of others) await expectRefused(kms.unwrap(wrapped, keyId, other))
    expect((await kms.unwrap(wrapped, keyId, context)).equals(key)).toBe(true)
  })

  it('refuses a wrapped key of which one character was changed, left out or added', async () => {
    const kms = await openLocalKms({ file, mayCreate: true })
    const { key, wrapped, keyId } = await kms.generate(context)
    for (let at = 0; at <= wrapped.length; at++) {
      for (const put of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_|=+\n') {
        if (wrapped[at] !== put) await expectRefused(kms.unwrap(wrapped.slice(0, at) + put + wrapped.slice(at + 1), keyId, context))
      }
      if (at < wrapped.length) await expectRefused(kms.unwrap(wrapped.slice(0, at) + wrapped.slice(at + 1), keyId, context))
    }
    expect((await kms.unwrap(wrapped, keyId, context)).equals(key)).toBe(true)
  })

  it('refuses what another key file wrapped, also under a borrowed key id', async () => {
    const kms = await openLocalKms({ file, mayCreate: true })
    const other = await openLocalKms({ file: join(directory, 'other.json'), mayCreate: true })
    const foreign = await other.generate(context)
    await expectRefused(kms.unwrap(foreign.wrapped, foreign.keyId, context))
    await expectRefused(kms.unwrap(foreign.wrapped, kms.keyId, context))
    await expectRefused(kms.unwrap((await kms.generate(context)).wrapped, other.keyId, context))
    const copy = join(directory, 'copy.json')
    await copyFile(file, copy)
    const own = await (await openLocalKms({ file: copy, mayCreate: false })).generate(context)
    expect((await kms.unwrap(own.wrapped, own.keyId, context)).length).toBe(32)
  })

  it('has one key and no other: nobody brings their own', async () => {
    const kms = await openLocalKms({ file, mayCreate: true })
    const { wrapped, keyId } = await kms.generate(context, kms.keyId)
    await expectRefused(kms.generate(context, 'local:another'))
    await expectRefused(kms.describe('local:another'))
    await expectRefused(kms.rewrap(wrapped, keyId, context, 'local:another'))
    expect(await kms.describe(keyId)).toEqual({ keyId })
    expect(await kms.rewrap(wrapped, keyId, context, keyId)).toEqual({ wrapped, keyId })
  })
})
