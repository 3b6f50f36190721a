/**
 * A key encryption key in a file of this machine, for one server and for development.
 * Refuses a file that others could read, that belongs to somebody else or is not exactly ours, and never replaces one.
 *
 * Wrapped: `v1|<nonce>|<ciphertext>|<tag>` (AES-256-GCM, canonical base64url), authenticated with `frame([domain, keyId,
 * 'purpose', purpose, 'tenant', tenant])`.
 */
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { link, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import { newId } from '../../kernel/id.ts'
import { frame } from './framing.ts'
import { keysUnavailable, type Kms, type KmsContext } from './kms.ts'

const domain = 'maristan/kms-local/v1'
const algorithm = 'aes-256-gcm'
const gcm = { authTagLength: 16 } as const
const maxFileBytes = 1024

// 32 bytes are 43 characters, and the last one carries four bits only: no second spelling of a key.
const wrappedGrammar = /^v1\|([\w-]{16})\|([\w-]{42}[AEIMQUYcgkosw048])\|([\w-]{21}[AQgw])$/
const keyFile = z.strictObject({
  version: z.literal(1),
  keyId: z.string().regex(/^local:[0-9a-f-]{36}$/),
  key: z.string().regex(/^[\w-]{42}[AEIMQUYcgkosw048]$/),
})

const restore = 'Restore it from your backup, without which sealed data stays unreadable.'

function refuse(reason: string): Error {
  return keysUnavailable({ reason })
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
}

/** Windows keeps neither owner ids nor modes; there the directory's access list is the protection. */
function refuseExposed(file: string, stats: Stats): void {
  if (!stats.isFile()) throw refuse(`${file} is not a regular file. Point to the key file itself.`)
  if (process.geteuid === undefined) return
  if (stats.uid !== process.geteuid()) {
    throw refuse(`The key file ${file} belongs to another user. Make the server's user its owner (chown), or run the server as its owner.`)
  }
  if ((stats.mode & 0o077) !== 0) {
    throw refuse(`The key file ${file} is open to other users. Run: chmod 600 ${file}. If others may have read it, rotate the key.`)
  }
}

function parse(file: string, text: string): { key: KeyObject; keyId: string } {
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch {
    throw refuse(`The key file ${file} is not JSON. ${restore}`)
  }
  const parsed = keyFile.safeParse(content)
  if (!parsed.success) throw refuse(`The key file ${file} is not a key file of version 1. ${restore}`)
  const bytes = Buffer.from(parsed.data.key, 'base64url')
  const key = createSecretKey(bytes)
  bytes.fill(0)
  return { key, keyId: parsed.data.keyId }
}

/** The key in `file`, or null when there is no such file. Checks the opened file itself, so that it cannot be swapped in between. */
async function load(file: string): Promise<{ key: KeyObject; keyId: string } | null> {
  let handle
  try {
    // O_NONBLOCK: opening a named pipe must not wait for its writer.
    handle = await open(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0))
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT') return null
    if (code === 'ELOOP') throw refuse(`The key file ${file} is a symbolic link. Point to the file itself.`)
    throw refuse(`The key file ${file} cannot be opened (${code}). Let the server's user read it.`)
  }
  try {
    const stats = await handle.stat()
    refuseExposed(file, stats)
    if (stats.size === 0) throw refuse(`The key file ${file} is empty. ${restore}`)
    if (stats.size > maxFileBytes) throw refuse(`The key file ${file} is too large to be one. ${restore}`)
    const bytes = await handle.readFile()
    const loaded = parse(file, bytes.toString('utf8'))
    bytes.fill(0)
    return loaded
  } finally {
    await handle.close()
  }
}

async function writeSynced(path: string, flags: string, content: string | null): Promise<void> {
  const handle = await open(path, flags, 0o600)
  try {
    if (content !== null) await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Makes the file whole or not at all. When another process was first, its file stays. */
async function create(file: string): Promise<void> {
  const temporary = `${file}.${newId()}.new`
  const content = { version: 1, keyId: `local:${newId()}`, key: randomBytes(32).toString('base64url') }
  try {
    await writeSynced(temporary, 'wx', `${JSON.stringify(content)}\n`)
    // A hard link, unlike a rename, never replaces what is already there.
    await link(temporary, file)
  } catch (error) {
    const code = errorCode(error)
    if (code !== 'EEXIST') {
      throw refuse(`The key file ${file} cannot be made (${code}). Make its directory and let the server's user write there.`)
    }
  } finally {
    await rm(temporary, { force: true })
  }
  // The name itself must survive a power cut too. Windows cannot open a directory.
  if (process.platform !== 'win32') await writeSynced(dirname(file), 'r', null)
}

function authenticated(keyId: string, { tenant, purpose }: KmsContext): Buffer {
  return frame([domain, keyId, 'purpose', purpose, 'tenant', tenant])
}

/**
 * Opens the key file; makes one (mode 0600) only when it is missing and `mayCreate`.
 * @param options.mayCreate true only where nothing has been sealed yet: a new key opens no old value.
 * @throws KEYS_UNAVAILABLE with a sentence that says what to do.
 */
export async function openLocalKms({ file, mayCreate }: { file: string; mayCreate: boolean }): Promise<Kms> {
  let loaded = await load(file)
  if (loaded === null && mayCreate) {
    await create(file)
    loaded = await load(file)
  }
  if (loaded === null) {
    throw refuse(`The key file ${file} is missing, and a key is never made where sealed rows already exist. ${restore}`)
  }
  const { key: wrappingKey, keyId } = loaded
  const refuseOther = (wanted: string): void => {
    if (wanted === keyId) return
    throw keysUnavailable({ trouble: 'REFUSED', reason: 'There is one key in the key file. A tenant brings its own with KMS_PROVIDER=aws only.' })
  }
  return {
    provider: 'local',
    keyId,
    close() {},
    async describe(wanted) {
      refuseOther(wanted)
      return { keyId }
    },
    async rewrap(wrapped, wrappedWith, _context, toKeyId) {
      refuseOther(toKeyId)
      return { wrapped, keyId: wrappedWith }
    },
    async generate(context, wrapWith = keyId) {
      refuseOther(wrapWith)
      const key = randomBytes(32)
      const nonce = randomBytes(12)
      const cipher = createCipheriv(algorithm, wrappingKey, nonce, gcm).setAAD(authenticated(keyId, context))
      const ciphertext = cipher.update(key)
      cipher.final()
      const parts = [nonce, ciphertext, cipher.getAuthTag()].map((part) => part.toString('base64url'))
      return { key, wrapped: `v1|${parts.join('|')}`, keyId }
    },
    async unwrap(wrapped, wrappedWith, context) {
      if (wrappedWith !== keyId) {
        throw refuse(`A stored key was wrapped with another key than that in ${file}. Restore the key file of this database.`)
      }
      const [, nonce, ciphertext, tag] = wrappedGrammar.exec(wrapped) ?? []
      const unreadable = 'A stored key does not open with the key file. Restore the key file and database of the same moment.'
      if (nonce === undefined || ciphertext === undefined || tag === undefined) throw refuse(unreadable)
      const decipher = createDecipheriv(algorithm, wrappingKey, Buffer.from(nonce, 'base64url'), gcm)
      decipher.setAAD(authenticated(keyId, context)).setAuthTag(Buffer.from(tag, 'base64url'))
      const key = decipher.update(ciphertext, 'base64url')
      try {
        decipher.final()
      } catch {
        key.fill(0)
        throw refuse(unreadable)
      }
      return key
    },
  }
}
