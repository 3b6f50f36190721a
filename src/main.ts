/** The server: the ground, the modules, the listening; and the stop, which loses nothing. */
import { composeHouse, createHouse } from './app.ts'
import { seedDemo } from './operator/demo.ts'
import { BadConfiguration, readConfig, type Config } from './platform/config.ts'
import { layFoundation } from './platform/db/foundation.ts'
import { createLog } from './platform/http/log.ts'

/** Starts everything. @returns what stops it in order: no new requests, those in flight finish, then the database. */
async function serve(config: Config): Promise<{ port: number; stop: () => Promise<void> }> {
  const log = createLog({ level: config.logLevel })
  const foundation = await layFoundation(config, log)
  try {
    const composed = await composeHouse(config, foundation, log)
    await composed.boot()
    const { server } = createHouse(config, foundation, composed, log)
    const { port } = await server.listen({ port: config.port, host: config.host })
    if (config.demo) await seedDemo({ config, foundation, house: composed, url: `http://${config.host}:${port}` })
    return {
      port,
      async stop() {
        await server.close()
        await foundation.stop()
      },
    }
  } catch (error) {
    await foundation.stop()
    throw error
  }
}

function welcome(config: Config, port: number): string {
  const at = `http://${config.host === '::1' ? '[::1]' : config.host}:${port}`
  const lines = [`Maristan is ready at ${at}`]
  if (config.demo) {
    lines.push(
      '',
      `  demo sign-ins     ${config.dataDir}/demo.json`,
      `  console           http://cedar.localhost:${port}/graphql/console`,
      `  clinician         http://cedar.localhost:${port}/graphql/clinician`,
      `  family            http://zaytuna.localhost:${port}/graphql/consumer`,
      `  readiness         ${at}/readyz`,
    )
  }
  return `${lines.join('\n')}\n\nCtrl-C stops it.`
}

try {
  const config = readConfig(process.env)
  const { port, stop } = await serve(config)
  let stopping = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stopping) return
      stopping = true
      console.log('Stopping: requests in flight finish first.')
      stop().then(
        () => process.exit(0),
        (error: Error) => {
          console.error(`The stop was not clean: ${error.message}`)
          process.exit(1)
        },
      )
    })
  }
  console.log(welcome(config, port))
} catch (error) {
  const expected = error instanceof BadConfiguration || (error as Error).name === 'UnsafeDatabase'
  console.error(expected ? (error as Error).message : error)
  console.error('\nmaristan doctor tells what is wrong and how to mend it.')
  process.exitCode = 1
}
