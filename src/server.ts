/** One running server: the ground, the modules, the listening; and the stop, which loses nothing. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Config } from './platform/config.ts'
import { layFoundation } from './platform/db/foundation.ts'
import { createLog } from './platform/http/log.ts'
import type { HttpServer } from './platform/http/server.ts'
import { createCheckpoints, type Checkpoints, type Signer } from './platform/ledger/checkpoint.ts'
import { createLedgerMetrics, streamAlarm } from './platform/ledger/metrics.ts'
import { monthsJob } from './platform/ledger/months.ts'
import { openSink } from './platform/ledger/open-sink.ts'
import { createSealer, type Sealer } from './platform/ledger/sealer.ts'
import { retireJob } from './platform/ledger/retire.ts'
import { createStreams, type Streams, type StreamSender } from './platform/ledger/streams.ts'
import { createJobs, type Jobs } from './platform/jobs/jobs.ts'
import { createOutbox, type Outbox } from './platform/outbox/deliver.ts'
import { purgeJob } from './platform/outbox/purge.ts'

export interface Running {
  readonly port: number
  /** In order: no new requests, those in flight finish, then the database. */
  stop(): Promise<void>
}

/** How long a running job may still work when the server stops. */
const drainMs = 10_000

/**
 * Starts everything, and is ready when it resolves.
 * @param stopping breaks the start off between two of its steps.
 * @throws its reason, or what stood in the way; nothing is left running then.
 */
export async function serve(config: Config, stopping: AbortSignal): Promise<Running> {
  const log = createLog({ level: config.logLevel })
  // The modules are loaded while Postgres starts.
  const loading = Promise.all([import('./app.ts'), config.demo ? import('./operator/demo.ts') : null])
  const foundation = await layFoundation(config, log)
  let server: HttpServer | null = null
  let jobs: Jobs | null = null
  let outbox: Outbox | null = null
  let sealer: Sealer | null = null
  let checkpoints: Checkpoints | null = null
  let streams: Streams | null = null
  let settle = async () => {}
  let release = () => {}
  const stop = async () => {
    await server?.close()
    await settle()
    await jobs?.stop({ drainMs })
    await outbox?.stop()
    await streams?.stop()
    // What was written up to here is sealed, and what is sealed is anchored.
    await sealer?.stop()
    await checkpoints?.stop()
    release()
    await foundation.stop()
  }
  try {
    const [{ composeHouse, createHouse }, demo] = await loading
    stopping.throwIfAborted()
    const composed = await composeHouse(config, foundation, log)
    release = composed.release
    await composed.boot()
    settle = composed.settle
    const house = createHouse(config, foundation, composed, log)
    const { database, databaseUrl, loginSecret } = foundation
    const { modules, made } = composed
    const ledgerMetrics = createLedgerMetrics(house.metrics.registry, () => database.gate.sealState(), () => database.gate.streamState(streamAlarm))
    sealer = createSealer({ databaseUrl, loginSecret, log, sealed: ledgerMetrics.sealed })
    database.onWrite(sealer.ring)
    sealer.start()
    const { signer, sender } = made['audit'] as unknown as { readonly signer: { current(): Signer }; readonly sender: StreamSender }
    streams = createStreams({ database, databaseUrl, loginSecret, sender, log })
    checkpoints = createCheckpoints({ databaseUrl, loginSecret, log, sink: openSink(config), signer: () => signer.current(), metrics: ledgerMetrics })
    outbox = createOutbox({ database, databaseUrl, loginSecret, modules, made, log, registry: house.metrics.registry })
    const retiring = { ...foundation, years: config.auditRetentionYears, signer: () => signer.current(), sink: openSink(config), held: () => database.gate.heldTenants() }
    const platformJobs = [purgeJob(database), monthsJob(foundation), retireJob(retiring)]
    jobs = createJobs({ database, databaseUrl, loginSecret, modules, made, platformJobs, log })
    server = house.server
    const { port } = await server.listen({ port: config.port, host: config.host })
    stopping.throwIfAborted()
    await demo?.seedDemo({ config, foundation, house: composed, url: urlAt(config, port) })
    stopping.throwIfAborted()
    outbox.start()
    await jobs.start()
    checkpoints.start()
    streams.start()
    giveBack()
    house.started()
    return { port, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Gives the system back what only the start needed, a third of the memory: the runtime would keep it until work makes it collect. */
function giveBack(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as (options: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void
  // Compiled code is kept for the flags it was made under.
  setFlagsFromString('--no-expose-gc')
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}

function urlAt({ host }: Config, port: number): string {
  return `http://${host === '::1' ? '[::1]' : host}:${port}`
}

/** What a person who started the server in a terminal wants to know. */
export function welcome(config: Config, port: number): string {
  const at = urlAt(config, port)
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
