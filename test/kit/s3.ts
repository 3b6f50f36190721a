/** A bucket with object lock that speaks S3's wire protocol over HTTP: it asks for a signature, and neither replaces nor deletes what is locked. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

export interface S3Double {
  readonly url: string
  /** What is in the bucket, by key. */
  readonly objects: ReadonlyMap<string, { readonly body: string; readonly mode: string | undefined; readonly until: Date }>
  /** Answers every request so from now on; null: properly. `hang` never answers. */
  fail(how: 'hang' | 503 | null): void
  close(): Promise<void>
}

const escaped = (value: string) => value.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

export async function startS3({ bucket, locks }: { bucket: string; locks: boolean }): Promise<S3Double> {
  const objects = new Map<string, { body: string; mode: string | undefined; until: Date }>()
  let failing: 'hang' | 503 | null = null
  const refuse = (response: ServerResponse, status: number, code: string) =>
    response.writeHead(status, { 'content-type': 'application/xml' }).end(`<Error><Code>${code}</Code><Message>${code}</Message></Error>`)

  const put = async (key: string, request: IncomingMessage, response: ServerResponse) => {
    const body = await text(request)
    const sum = request.headers['x-amz-checksum-sha256']
    if (sum !== createHash('sha256').update(body).digest('base64')) return refuse(response, 400, 'BadDigest')
    if (request.headers['if-none-match'] === '*' && objects.has(key)) return refuse(response, 412, 'PreconditionFailed')
    const until = new Date(String(request.headers['x-amz-object-lock-retain-until-date']))
    objects.set(key, { body, mode: request.headers['x-amz-object-lock-mode'] as string | undefined, until })
    return response.writeHead(200, { etag: '"x"' }).end()
  }

  const list = (prefix: string, after: string | null, response: ServerResponse) => {
    // Two a page: whoever lists must go on.
    const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && (after === null || key > after)).sort()
    const page = keys.slice(0, 2)
    const more = keys.length > page.length ? `<NextContinuationToken>${escaped(page.at(-1)!)}</NextContinuationToken>` : ''
    const contents = page.map((key) => `<Contents><Key>${escaped(key)}</Key><Size>1</Size></Contents>`).join('')
    response
      .writeHead(200, { 'content-type': 'application/xml' })
      .end(`<ListBucketResult><Name>${bucket}</Name>${contents}<IsTruncated>${more !== ''}</IsTruncated>${more}</ListBucketResult>`)
  }

  const server = createServer((request, response) => {
    void (async () => {
      if (failing === 'hang') return
      if (failing === 503) return refuse(response, 503, 'SlowDown')
      if (!request.headers.authorization?.startsWith('AWS4-HMAC-SHA256 Credential=')) return refuse(response, 403, 'AccessDenied')
      const url = new URL(request.url ?? '/', 'http://s3')
      const [, name, ...rest] = url.pathname.split('/')
      const key = decodeURIComponent(rest.join('/'))
      if (name !== bucket) return refuse(response, 404, 'NoSuchBucket')
      if (request.method === 'GET' && url.searchParams.has('object-lock')) {
        if (!locks) return refuse(response, 404, 'ObjectLockConfigurationNotFoundError')
        const body = '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>'
        return response.writeHead(200, { 'content-type': 'application/xml' }).end(body)
      }
      if (request.method === 'PUT') return put(key, request, response)
      if (request.method === 'DELETE') return refuse(response, 403, 'AccessDenied')
      if (key === '') return list(url.searchParams.get('prefix') ?? '', url.searchParams.get('continuation-token'), response)
      const object = objects.get(key)
      return object ? response.writeHead(200).end(object.body) : refuse(response, 404, 'NoSuchKey')
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    fail: (how) => (failing = how),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}
