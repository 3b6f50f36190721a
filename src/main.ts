/** The server's process: its signals, its welcome, its complaint. What it serves is in server.ts. */
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

// Compiled code is kept between starts. Where it cannot be written, only that time is lost.
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compiled'))
const { complaint } = await import('./operator/complaint.ts')
const { serve, welcome } = await import('./server.ts')
const { readConfig } = await import('./platform/config.ts')

const stopping = new AbortController()
const stopWished = new Promise<void>((resolve) => stopping.signal.addEventListener('abort', () => resolve()))
// Heard from the first moment: a start that is broken off takes its database along too.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (!stopping.signal.aborted) console.log('Stopping: requests in flight finish first.')
    stopping.abort()
  })
}

try {
  const config = readConfig(process.env)
  const { port, stop } = await serve(config, stopping.signal)
  console.log(welcome(config, port))
  await stopWished
  await stop()
  process.exit(0)
} catch (error) {
  if (error === stopping.signal.reason) process.exit(0)
  console.error(stopping.signal.aborted ? `The stop was not clean: ${complaint(error)}` : complaint(error))
  if (!stopping.signal.aborted) console.error('\nmaristan doctor tells what is wrong and how to mend it.')
  process.exit(1)
}
