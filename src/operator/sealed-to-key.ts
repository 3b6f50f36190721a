/**
 * A stream sealed to somebody's public key: a fresh X25519 pair a file (RFC 7748), HKDF-SHA256 over the shared secret and both public
 * keys (RFC 5869), and the chunks of sealed-stream.ts. Once the sealing process forgets the file's key, only the recipient opens it. Refuses keys of any other kind.
 */
import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync, type KeyObject } from 'node:crypto'
import { DamagedFile, openStream, sealStream } from './sealed-stream.ts'

const magic = Buffer.from('maristan-to-key-v1\n', 'latin1')
const publicBytes = 32
/** RFC 8410: the fixed head of an X25519 public key as SubjectPublicKeyInfo. */
const spkiHead = Buffer.from('302a300506032b656e032100', 'hex')

export class UnusableKey extends Error {
  constructor(what: string) {
    const pair = 'openssl genpkey -algorithm x25519 -out private.pem && openssl pkey -in private.pem -pubout -out public.pem'
    super(`${what} Make a pair with: ${pair}`)
    this.name = 'UnusableKey'
  }
}

function x25519(make: () => KeyObject, what: string): KeyObject {
  let key: KeyObject
  try {
    key = make()
  } catch {
    throw new UnusableKey(`This is no ${what} key in PEM.`)
  }
  if (key.asymmetricKeyType !== 'x25519') throw new UnusableKey(`This ${what} key is not of X25519 but of ${key.asymmetricKeyType}.`)
  return key
}

/** @param pem SubjectPublicKeyInfo. A private key is refused: it has no business here. @throws {UnusableKey} */
export function publicKeyOf(pem: string): KeyObject {
  if (pem.includes('PRIVATE KEY')) throw new UnusableKey('This is a private key, which stays at home; the public one is wanted.')
  return x25519(() => createPublicKey(pem), 'public')
}

/** @param pem PKCS #8. @throws {UnusableKey} */
export function privateKeyOf(pem: string): KeyObject {
  return x25519(() => createPrivateKey(pem), 'private')
}

const rawOf = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' }).subarray(spkiHead.length)

function agreedKey(privateKey: KeyObject, publicKey: KeyObject, ephemeral: Buffer, recipient: Buffer): Buffer {
  const secret = diffieHellman({ privateKey, publicKey })
  const key = Buffer.from(hkdfSync('sha256', secret, Buffer.concat([ephemeral, recipient]), 'maristan/to-key/v1', 32))
  secret.fill(0)
  return key
}

/** What opens one file that this process is writing, kept in memory to read it back; {@link forget} it then. */
export interface FileKey {
  readonly key: Buffer
  forget(): void
}

/**
 * The magic line, the file's own public key, then sealed chunks.
 * @param keep is given what opens this one file again.
 */
export async function* sealToKey(
  source: AsyncIterable<Uint8Array>,
  recipient: KeyObject,
  keep: (file: FileKey) => void = () => {},
): AsyncGenerator<Buffer> {
  const own = generateKeyPairSync('x25519')
  const ephemeral = rawOf(own.publicKey)
  const key = agreedKey(own.privateKey, recipient, ephemeral, rawOf(recipient))
  keep({ key, forget: () => void key.fill(0) })
  yield Buffer.concat([magic, ephemeral])
  yield* sealStream(source, key)
}

/** The plaintext, chunk by chunk, each only after it proved whole. @throws {DamagedFile} also for another recipient's file */
export async function* openWithKey(source: AsyncIterable<Uint8Array>, privateKey: KeyObject): AsyncGenerator<Buffer> {
  yield* openAfterHead(source, (ephemeral) => keyFor(privateKey, ephemeral))
}

/** {@link openWithKey} for the one who has just sealed it. @throws {DamagedFile} */
export function openAgain(source: AsyncIterable<Uint8Array>, file: FileKey): AsyncGenerator<Buffer> {
  return openAfterHead(source, () => file.key)
}

async function* openAfterHead(source: AsyncIterable<Uint8Array>, keyOf: (ephemeral: Buffer) => Buffer): AsyncGenerator<Buffer> {
  const input = source[Symbol.asyncIterator]()
  const wanted = magic.length + publicBytes
  let head: Buffer = Buffer.alloc(0)
  while (head.length < wanted) {
    const { value, done } = await input.next()
    if (done) throw new DamagedFile()
    head = Buffer.concat([head, value])
  }
  if (!head.subarray(0, magic.length).equals(magic)) throw new DamagedFile()
  const ephemeral = head.subarray(magic.length, wanted)
  const rest = (async function* () {
    yield head.subarray(wanted)
    yield* { [Symbol.asyncIterator]: () => input }
  })()
  yield* openStream(rest, keyOf(ephemeral))
}

function keyFor(privateKey: KeyObject, ephemeral: Buffer): Buffer {
  try {
    const sender = createPublicKey({ key: Buffer.concat([spkiHead, ephemeral]), format: 'der', type: 'spki' })
    return agreedKey(privateKey, sender, ephemeral, rawOf(createPublicKey(privateKey)))
  } catch {
    // A point of low order agrees on nothing (RFC 7748 §6.1).
    throw new DamagedFile()
  }
}
