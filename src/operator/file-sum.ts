/** What a file is known by once it is out of hand: its size and SHA-256. It reads and keeps nothing. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'

/** Size and digest of a file as it lies on the disk: what a certificate names it by. */
export async function sumOf(file: string): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const part of createReadStream(file) as AsyncIterable<Buffer>) {
    hash.update(part)
    bytes += part.length
  }
  return { bytes, sha256: hash.digest('hex') }
}
