/**
 * Asks Postgres to cancel what one connection is doing, on a connection of its own (protocol, "Canceling Requests in Progress"). Nobody
 * learns whether it was in time: the statement either fails with 57014 or had ended by itself. Only for a connection that nobody shares.
 */
import { connect } from 'node:net'
import type { PoolClient } from 'pg'

const cancelRequestCode = 80_877_102
const patienceMs = 2_000

/** What pg keeps of the backend it is connected to. */
interface Backend {
  readonly host: string
  readonly port: number
  readonly processID: number | null
  readonly secretKey: number | null
}

export function cancelWork(client: PoolClient): void {
  const { host, port, processID, secretKey } = client as unknown as Backend
  if (processID === null || secretKey === null) return
  const message = Buffer.alloc(16)
  message.writeInt32BE(message.length, 0)
  message.writeInt32BE(cancelRequestCode, 4)
  message.writeInt32BE(processID, 8)
  message.writeInt32BE(secretKey, 12)
  const socket = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host)
  // A server that cannot be reached cancels nothing; the statement's own time limit still ends it.
  socket.on('error', () => {})
  socket.setTimeout(patienceMs, () => socket.destroy())
  socket.end(message)
}
