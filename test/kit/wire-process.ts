/**
 * A process that holds one module, audit, and answers for it on a wire; run by tests, stopped with SIGTERM. Prints its port once it
 * listens. Everything it must know stands in the environment.
 */
import { systemClock } from '../../src/kernel/clock.ts'
import { auditMethods, type Audit } from '../../src/modules/audit/contract.ts'
import { audit } from '../../src/modules/audit/index.ts'
import { Database } from '../../src/platform/db/database.ts'
import { createLog } from '../../src/platform/http/log.ts'
import { createHttpMetrics } from '../../src/platform/http/metrics.ts'
import { createHttpServer } from '../../src/platform/http/server.ts'
import { platformFor, type AnyModule } from '../../src/platform/module.ts'
import { serveContract } from '../../src/platform/wire.ts'
import { unhurried } from './unhurried.ts'

const given = (name: string): string => {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set.`)
  return value
}

const log = createLog({ level: 'silent' })
const database = new Database({ url: given('WIRE_DATABASE_URL'), loginSecret: given('WIRE_LOGIN_SECRET'), preparedStatements: true })
// Audit stands on its table alone: what else the building offers is not there.
const contract: Audit = audit.build(platformFor(audit as unknown as AnyModule, { clock: systemClock, log } as never) as never, {} as never).contract
const route = serveContract({
  name: 'audit',
  methods: auditMethods,
  contract,
  log,
  secret: given('WIRE_SECRET'),
  audience: given('WIRE_AUDIENCE'),
  openScope: (caller, work, signal) => {
    const unit = database.unit(caller, signal)
    return unit.read(() => work(unit.scope))
  },
})
const server = createHttpServer({ routes: [route], limits: unhurried, log, metrics: createHttpMetrics(), trustedProxies: [] })
const { port } = await server.listen({ port: 0, host: '127.0.0.1' })
process.stdout.write(`${port}\n`)

process.once('SIGTERM', async () => {
  await server.close()
  await database.close()
})
