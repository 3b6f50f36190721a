/** A TCP proxy between the server and Postgres that holds back what carries a word, until it is let go or the line is cut. */
import { connect, createServer, type Socket } from 'node:net'

export interface Proxy {
  readonly url: string
  /** From now on, what the client sends is held from the first piece that carries `word`. Resolves when one is held. */
  hold(word: string): Promise<void>
  /** Sends what was held and holds nothing more. */
  release(): void
  /** Breaks every line through the proxy; what was held never arrives. */
  cut(): void
  close(): Promise<void>
}

export async function startProxy(databaseUrl: string): Promise<Proxy> {
  const target = new URL(databaseUrl)
  const sockets = new Set<Socket>()
  let word: string | null = null
  let caught: (() => void) | null = null
  let held: { to: Socket; bytes: Buffer }[] = []

  const server = createServer((near) => {
    const far = connect({ host: target.hostname, port: Number(target.port) })
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('error', () => {})
      socket.setNoDelay(true)
    }
    let holding = false
    near.on('data', (bytes) => {
      if (word !== null && (holding || bytes.includes(word))) {
        holding = true
        held.push({ to: far, bytes })
        caught?.()
      } else far.write(bytes)
    })
    far.pipe(near)
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The proxy has no port.')
  const url = new URL(databaseUrl)
  url.hostname = '127.0.0.1'
  url.port = String(address.port)

  const cut = () => {
    word = null
    held = []
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: url.href,
    cut,
    hold: (wanted) =>
      new Promise((resolve) => {
        word = wanted
        caught = resolve
      }),
    release() {
      word = null
      for (const { to, bytes } of held) to.write(bytes)
      held = []
    },
    close() {
      cut()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
