/** A process that delivers the outbox of a test's database; its handler prints a line and, if told to, never ends. */
import { Registry } from 'prom-client'
import { Database } from '../../src/platform/db/database.ts'
import { createLog } from '../../src/platform/http/log.ts'
import { createOutbox } from '../../src/platform/outbox/deliver.ts'
import { wardModule } from './ward.ts'

const [url = '', loginSecret = '', who = '', hangs = ''] = ['DB_URL', 'DB_SECRET', 'WHO', 'HANGS'].map((name) => process.env[name])
const ward = wardModule(who, async () => {
  process.stdout.write('handling\n')
  if (hangs === '1') await new Promise(() => {})
})
const database = new Database({ url, loginSecret, preparedStatements: true })
const log = createLog({ level: 'silent' })
const outbox = createOutbox({
  database,
  databaseUrl: url,
  loginSecret,
  log,
  modules: [ward],
  made: { ward: { contract: {} } },
  registry: new Registry(),
})
outbox.start()
process.stdout.write('started\n')

process.once('SIGTERM', async () => {
  await outbox.stop()
  await database.close()
})
