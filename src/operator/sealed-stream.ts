/**
 * A long file sealed in chunks (the STREAM construction: Hoang, Reyhanitabar, Rogaway, Vizár 2015): each chunk's nonce holds its number
 * and whether it is the last, so chunks cannot be reordered, dropped, repeated or cut off. It refuses anything that was altered.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

export const chunkBytes = 64 * 1024
const tagBytes = 16
const saltBytes = 32

const nonceOf = (index: number, last: boolean): Buffer => {
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32BE(index, 7)
  nonce[11] = last ? 1 : 0
  return nonce
}

/** Every file has a key of its own, so that the counters of two files never meet under one key. */
const fileKey = (key: Uint8Array, salt: Uint8Array): Buffer =>
  Buffer.from(hkdfSync('sha256', key, salt, 'maristan/backup/v1', 32))

export class DamagedFile extends Error {
  constructor() {
    super('The file was not sealed with this key, or it is damaged or incomplete.')
    this.name = 'DamagedFile'
  }
}

/** Regroups what comes into pieces of exactly `size` bytes; the last may be shorter, and is there even when empty. */
async function* pieces(source: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<{ piece: Buffer; last: boolean }> {
  let held: Buffer[] = []
  let bytes = 0
  for await (const part of source) {
    held.push(Buffer.from(part))
    bytes += part.length
    // Strictly more: the piece in hand may be the last one only when nothing follows it.
    while (bytes > size) {
      const all = Buffer.concat(held)
      yield { piece: all.subarray(0, size), last: false }
      held = [all.subarray(size)]
      bytes -= size
    }
  }
  yield { piece: Buffer.concat(held), last: true }
}

/** Salt, then sealed chunks of 64 KiB. Up to 256 TiB. */
export async function* sealStream(source: AsyncIterable<Uint8Array>, key: Uint8Array): AsyncGenerator<Buffer> {
  const salt = randomBytes(saltBytes)
  const own = fileKey(key, salt)
  yield salt
  let index = 0
  for await (const { piece, last } of pieces(source, chunkBytes)) {
    const cipher = createCipheriv('aes-256-gcm', own, nonceOf(index++, last))
    yield Buffer.concat([cipher.update(piece), cipher.final(), cipher.getAuthTag()])
  }
}

/** The plaintext, chunk by chunk, each only after it proved whole. @throws {DamagedFile} */
export async function* openStream(source: AsyncIterable<Uint8Array>, key: Uint8Array): AsyncGenerator<Buffer> {
  const input = source[Symbol.asyncIterator]()
  let head = Buffer.alloc(0)
  while (head.length < saltBytes) {
    const { value, done } = await input.next()
    if (done) throw new DamagedFile()
    head = Buffer.concat([head, value])
  }
  const own = fileKey(key, head.subarray(0, saltBytes))
  const rest = (async function* () {
    yield head.subarray(saltBytes)
    yield* { [Symbol.asyncIterator]: () => input }
  })()
  let index = 0
  for await (const { piece, last } of pieces(rest, chunkBytes + tagBytes)) {
    if (piece.length < tagBytes) throw new DamagedFile()
    const decipher = createDecipheriv('aes-256-gcm', own, nonceOf(index++, last))
    decipher.setAuthTag(piece.subarray(-tagBytes))
    const opened = decipher.update(piece.subarray(0, -tagBytes))
    try {
      decipher.final()
    } catch {
      throw new DamagedFile()
    }
    yield opened
  }
}
