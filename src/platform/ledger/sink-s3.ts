/**
 * A sink in an S3 bucket with object lock: what is put cannot be deleted or replaced by anybody, the account's owner included, until
 * its time is over (mode COMPLIANCE). A bucket without object lock is refused. The SDK is loaded when a sink is opened.
 */
import type { S3Client } from '@aws-sdk/client-s3'
import { sinkName, type Sink } from './sink.ts'

export interface S3SinkOptions {
  readonly bucket: string
  /** Put before every name; empty or without a slash at its end. */
  readonly prefix: string
  readonly region: string | null
  /** Of another provider than AWS, or of a test. */
  readonly endpoint: string | null
  readonly retentionYears: number
}

const timeoutMs = 8_000
const pageKeys = 1_000

export function s3Sink({ bucket, prefix, region, endpoint, retentionYears }: S3SinkOptions): Sink {
  const keyOf = (name: string): string => (prefix === '' ? sinkName(name) : `${prefix}/${sinkName(name)}`)
  let opening: Promise<{ sdk: typeof import('@aws-sdk/client-s3'); client: S3Client }> | null = null

  const open = async () => {
    const sdk = await import('@aws-sdk/client-s3')
    const client = new sdk.S3Client({
      maxAttempts: 3,
      ...(region === null ? {} : { region }),
      ...(endpoint === null ? {} : { endpoint, forcePathStyle: true }),
    })
    const asked = new sdk.GetObjectLockConfigurationCommand({ Bucket: bucket })
    const { ObjectLockConfiguration } = await client.send(asked, { abortSignal: AbortSignal.timeout(timeoutMs) }).catch((error: Error) => {
      if (error.name === 'ObjectLockConfigurationNotFoundError') return { ObjectLockConfiguration: undefined }
      throw error
    })
    if (ObjectLockConfiguration?.ObjectLockEnabled !== 'Enabled') {
      client.destroy()
      throw new Error(`Bucket ${bucket} has no object lock. Make one that has: it is switched on when a bucket is made.`)
    }
    return { sdk, client }
  }
  /** A failed opening is tried anew by the next call. */
  const opened = () =>
    (opening ??= open().catch((error: unknown) => {
      opening = null
      throw error
    }))

  const put = async (name: string, text: string): Promise<void> => {
    const { sdk, client } = await opened()
    const until = new Date()
    until.setUTCFullYear(until.getUTCFullYear() + retentionYears)
    const command = new sdk.PutObjectCommand({
      Bucket: bucket,
      Key: keyOf(name),
      Body: text,
      ContentType: 'application/x-ndjson',
      ChecksumAlgorithm: 'SHA256',
      IfNoneMatch: '*',
      ObjectLockMode: 'COMPLIANCE',
      ObjectLockRetainUntilDate: until,
    })
    await client.send(command, { abortSignal: AbortSignal.timeout(timeoutMs) })
  }

  return {
    place: `s3://${bucket}/${prefix}`,
    put,
    async putOnce(name, text) {
      await put(name, text).catch((error: Error) => {
        if (error.name !== 'PreconditionFailed') throw error
      })
    },
    async *list(start) {
      const { sdk, client } = await opened()
      const signal = () => ({ abortSignal: AbortSignal.timeout(timeoutMs) })
      for (let token: string | undefined; ; ) {
        const page = await client.send(
          new sdk.ListObjectsV2Command({
            Bucket: bucket,
            Prefix: `${keyOf(start)}/`,
            MaxKeys: pageKeys,
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
          signal(),
        )
        for (const { Key } of page.Contents ?? []) {
          if (Key === undefined) continue
          const text = async () => {
            const { Body } = await client.send(new sdk.GetObjectCommand({ Bucket: bucket, Key }), signal())
            return (await Body?.transformToString('utf8')) ?? ''
          }
          yield { name: prefix === '' ? Key : Key.slice(prefix.length + 1), text }
        }
        token = page.NextContinuationToken
        if (token === undefined) return
      }
    },
  }
}
