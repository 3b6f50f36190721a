/** A subscription over HTTP, as server-sent events: each answer as it comes. */
import type { Asking, Reply, TestHouse } from './house.ts'

export type Event<Data> = Pick<Reply<Data>, 'data' | 'errors'>

export interface Stream<Data> {
  readonly status: number
  readonly headers: Headers
  /** The next answer; null when the server has completed the stream. @throws when the connection broke. */
  next(): Promise<Event<Data> | null>
  /** Goes away, as a closed tab does. */
  leave(): void
}

/** Begins a subscription; resolves when the server has answered with a status. */
export async function subscribe<Data>(
  house: Pick<TestHouse, 'url'>,
  asking: Asking,
  query: string,
  variables: Readonly<Record<string, unknown>> = {},
): Promise<Stream<Data>> {
  const gone = new AbortController()
  const response = await fetch(`${house.url}/graphql/${asking.plane}`, {
    method: 'POST',
    signal: gone.signal,
    headers: {
      accept: 'text/event-stream',
      'content-type': 'application/json',
      ...(asking.tenant ? { 'x-maristan-tenant': asking.tenant } : {}),
      ...(asking.bearer ? { authorization: `Bearer ${asking.bearer}` } : {}),
      ...(asking.cookie ? { cookie: asking.cookie, 'x-maristan-csrf': '1' } : {}),
      ...asking.headers,
    },
    body: JSON.stringify({ query, variables }),
  })
  const decoder = new TextDecoder()
  const reader = response.body!.getReader()
  let text = ''
  return {
    status: response.status,
    headers: response.headers,
    async next() {
      for (;;) {
        const end = text.indexOf('\n\n')
        if (end < 0) {
          const { done, value } = await reader.read()
          if (done) throw new Error(`The connection ended without completing the stream: ${text}`)
          text += decoder.decode(value, { stream: true })
          continue
        }
        const block = text.slice(0, end)
        text = text.slice(end + 2)
        const fields = new Map(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]))
        if (fields.get('event') === 'complete') return null
        const data = fields.get('data')
        if (fields.get('event') !== 'next' || data === undefined) continue
        const { data: answered = null, errors = [] } = JSON.parse(data)
        return { data: answered, errors }
      }
    },
    leave: () => gone.abort(),
  }
}
