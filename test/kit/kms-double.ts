/**
 * A KMS that speaks AWS's wire protocol over HTTP (JSON 1.1, `X-Amz-Target: TrentService.<operation>`), with keys of its own. It checks
 * the signature of every request (Signature Version 4) and the encryption context of every ciphertext, and fails in the ways a real
 * one can, for one key or for all.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { newId } from '../../src/kernel/id.ts'

/**
 * `well`; `hang`: no answer; `cut`: the connection breaks; `throttle`, `broken` (500); `deny`; `disable`; `corrupt`: half an answer;
 * `wrong-plaintext`: 32 other bytes; `wrong-key`: uses another key, and says so.
 */
export type Mood = 'well' | 'hang' | 'cut' | 'throttle' | 'broken' | 'deny' | 'disable' | 'corrupt' | 'wrong-plaintext' | 'wrong-key'

export interface KmsCall {
  readonly operation: string
  readonly keyId: string | null
  readonly context: Readonly<Record<string, string>> | null
  /** The error it was answered with, or `ok`. */
  readonly answer: string
}

type Input = Readonly<Record<string, never>> & {
  readonly KeyId?: string
  readonly SourceKeyId?: string
  readonly DestinationKeyId?: string
  readonly KeySpec?: string
  readonly CiphertextBlob?: string
  readonly EncryptionContext?: Record<string, string>
  readonly SourceEncryptionContext?: Record<string, string>
  readonly DestinationEncryptionContext?: Record<string, string>
}

class KmsError extends Error {
  readonly status: number

  constructor(name: string, status = 400) {
    super(name)
    this.name = name
    this.status = status
  }
}

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex')
const sign = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest()

export class KmsDouble {
  readonly region = 'eu-test-1'
  readonly accessKeyId = 'AKIDKMSDOUBLE'
  readonly secretAccessKey = randomBytes(20).toString('hex')
  readonly calls: KmsCall[] = []
  readonly #keys = new Map<string, { readonly material: Buffer; mood: Mood }>()
  readonly #hanging = new Set<ServerResponse>()
  readonly #server: Server
  #mood: Mood = 'well'

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  static async start(): Promise<KmsDouble> {
    const double = new KmsDouble()
    await new Promise<void>((resolve) => double.#server.listen(0, '127.0.0.1', resolve))
    return double
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** What a server that is to use it has in its environment. */
  get environment(): Record<string, string> {
    return { AWS_REGION: this.region, AWS_ENDPOINT_URL_KMS: this.url, ...this.credentials }
  }

  get credentials(): Record<string, string> {
    return { AWS_ACCESS_KEY_ID: this.accessKeyId, AWS_SECRET_ACCESS_KEY: this.secretAccessKey }
  }

  /** A new key; answers its ARN. */
  createKey(): string {
    const arn = `arn:aws:kms:${this.region}:000000000000:key/${newId()}`
    this.#keys.set(arn, { material: randomBytes(32), mood: 'well' })
    return arn
  }

  /** How it answers from now on: about one key, or, without one, about all. */
  set(mood: Mood, arn?: string): void {
    if (arn === undefined) this.#mood = mood
    else this.#key(arn).mood = mood
  }

  count(operation: string, arn?: string): number {
    return this.calls.filter((call) => call.operation === operation && (arn === undefined || call.keyId === arn)).length
  }

  async stop(): Promise<void> {
    for (const response of this.#hanging) response.destroy()
    await new Promise((resolve) => {
      this.#server.close(resolve)
      this.#server.closeAllConnections()
    })
  }

  #key(arn: string) {
    const key = this.#keys.get(arn)
    if (!key) throw new KmsError('NotFoundException')
    return key
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const operation = String(request.headers['x-amz-target']).replace(/^TrentService\./, '')
    let input: Input = {}
    let answer = 'ok'
    let output: object = {}
    let status = 200
    let mood: Mood = 'well'
    try {
      this.#authenticate(request, body)
      if (request.headers['content-type'] !== 'application/x-amz-json-1.1') throw new KmsError('SerializationException')
      input = JSON.parse(body.toString('utf8')) as Input
      mood = this.#moodOf(input)
      if (mood === 'throttle') throw new KmsError('ThrottlingException')
      if (mood === 'broken') throw new KmsError('KMSInternalException', 500)
      if (mood === 'deny') throw new KmsError('AccessDeniedException')
      if (mood === 'disable' && operation !== 'DescribeKey') throw new KmsError('DisabledException')
      output = this.#perform(operation, input, mood)
    } catch (error) {
      const known = error instanceof KmsError
      answer = known ? error.name : 'InternalFailure'
      status = known ? error.status : 500
      output = { __type: answer, message: 'Refused by the double.' }
    }
    const context = input.EncryptionContext ?? input.DestinationEncryptionContext ?? null
    this.calls.push({ operation, keyId: input.KeyId ?? input.DestinationKeyId ?? null, context, answer: mood === 'well' ? answer : mood })
    if (mood === 'hang') {
      this.#hanging.add(response)
      response.once('close', () => this.#hanging.delete(response))
      return
    }
    if (mood === 'cut') return void request.socket.destroy()
    const text = JSON.stringify(output)
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': newId() })
    response.end(mood === 'corrupt' ? text.slice(0, text.length / 2) : text)
  }

  #moodOf(input: Input): Mood {
    const arns = [input.KeyId, input.SourceKeyId, input.DestinationKeyId].filter((arn) => arn !== undefined)
    const moods = arns.map((arn) => this.#key(arn).mood)
    return moods.find((mood) => mood !== 'well') ?? this.#mood
  }

  #perform(operation: string, input: Input, mood: Mood): object {
    const arn = input.KeyId ?? ''
    const named = mood === 'wrong-key' ? this.createKey() : arn
    switch (operation) {
      case 'GenerateDataKey': {
        if (input.KeySpec !== 'AES_256') throw new KmsError('ValidationException')
        const plaintext = randomBytes(32)
        const CiphertextBlob = this.#encrypt(named, plaintext, input.EncryptionContext)
        return { CiphertextBlob, Plaintext: (mood === 'wrong-plaintext' ? randomBytes(32) : plaintext).toString('base64'), KeyId: named }
      }
      case 'Decrypt': {
        const plaintext = this.#decrypt(arn, input.CiphertextBlob, input.EncryptionContext)
        const Plaintext = (mood === 'wrong-plaintext' ? randomBytes(32) : plaintext).toString('base64')
        return { Plaintext, KeyId: named, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' }
      }
      case 'ReEncrypt': {
        const from = input.SourceKeyId ?? ''
        const to = mood === 'wrong-key' ? named : (input.DestinationKeyId ?? '')
        const plaintext = this.#decrypt(from, input.CiphertextBlob, input.SourceEncryptionContext)
        const given = mood === 'wrong-plaintext' ? randomBytes(32) : plaintext
        return { CiphertextBlob: this.#encrypt(to, given, input.DestinationEncryptionContext), SourceKeyId: from, KeyId: to }
      }
      case 'DescribeKey': {
        const enabled = this.#key(arn).mood !== 'disable' && this.#mood !== 'disable'
        const state = { Enabled: enabled, KeyState: enabled ? 'Enabled' : 'Disabled' }
        const kind = { KeyUsage: 'ENCRYPT_DECRYPT', KeySpec: 'SYMMETRIC_DEFAULT', KeyManager: 'CUSTOMER', Origin: 'AWS_KMS' }
        return { KeyMetadata: { KeyId: arn.split('/')[1], Arn: arn, ...state, ...kind } }
      }
      default:
        throw new KmsError('UnknownOperationException')
    }
  }

  #authenticated(arn: string, context: Record<string, string> | undefined): Buffer {
    const entries = Object.entries(context ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
    if (!context?.['tenant'] || !context['purpose']) throw new KmsError('ValidationException')
    return Buffer.from(JSON.stringify([arn, entries]))
  }

  #encrypt(arn: string, plaintext: Buffer, context: Record<string, string> | undefined): string {
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', this.#key(arn).material, nonce).setAAD(this.#authenticated(arn, context))
    return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]).toString('base64')
  }

  #decrypt(arn: string, blob: string | undefined, context: Record<string, string> | undefined): Buffer {
    const bytes = Buffer.from(blob ?? '', 'base64')
    if (bytes.length < 28) throw new KmsError('InvalidCiphertextException')
    const decipher = createDecipheriv('aes-256-gcm', this.#key(arn).material, bytes.subarray(0, 12))
    decipher.setAAD(this.#authenticated(arn, context)).setAuthTag(bytes.subarray(-16))
    try {
      return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()])
    } catch {
      throw new KmsError('InvalidCiphertextException')
    }
  }

  /** Signature Version 4, as AWS describes it: canonical request, string to sign, derived key. */
  #authenticate(request: IncomingMessage, body: Buffer): void {
    const form = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/kms\/aws4_request, SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})$/
    const [, keyId, day, region, signed, signature] = form.exec(request.headers.authorization ?? '') ?? []
    const at = String(request.headers['x-amz-date'])
    if (keyId !== this.accessKeyId || region !== this.region || !at.startsWith(day ?? '-')) throw new KmsError('UnrecognizedClientException')
    for (const needed of ['host', 'x-amz-date', 'x-amz-target']) {
      if (!signed!.split(';').includes(needed)) throw new KmsError('InvalidSignatureException')
    }
    const headers = signed!.split(';').map((name) => `${name}:${String(request.headers[name]).trim().replace(/ +/g, ' ')}\n`)
    const canonical = [request.method, request.url, '', headers.join(''), signed, sha256(body)].join('\n')
    const scope = `${day}/${region}/kms/aws4_request`
    const key = [region!, 'kms', 'aws4_request'].reduce((from, part) => sign(from, part), sign(`AWS4${this.secretAccessKey}`, day!))
    const expected = sign(key, `AWS4-HMAC-SHA256\n${at}\n${scope}\n${sha256(canonical)}`).toString('hex')
    if (expected !== signature) throw new KmsError('InvalidSignatureException')
  }
}
