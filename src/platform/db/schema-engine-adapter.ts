/**
 * The schema engine's hands: how it reaches Postgres. Works around four faults of @prisma/adapter-pg 7.10.0, each named where
 * it is mended; holds one connection a database, with bounded waits.
 */
import { randomUUID } from 'node:crypto'
import { PrismaPg } from '@prisma/adapter-pg'
import { ColumnTypeEnum, DriverAdapterError } from '@prisma/driver-adapter-utils'
import type { SqlDriverAdapter, SqlMigrationAwareDriverAdapterFactory, SqlResultSet } from '@prisma/driver-adapter-utils'
import pg from 'pg'

const connectTimeoutMs = 10_000
const statementTimeoutMs = 600_000

// Fault: the catalogue's type "char" has no mapping. The pool presents such columns as text under a
// marked name, and queryRaw() below turns the mark back into the column type that the engine expects.
const charOid = 18
const textOid = 25
const charMark = '\u0000char:'

function markCharColumns(result: unknown): unknown {
  for (const one of [result].flat() as pg.QueryResult[]) {
    for (const field of one.fields ?? []) {
      if (field.dataTypeID !== charOid) continue
      field.dataTypeID = textOid
      field.name = charMark + field.name
    }
  }
  return result
}

function unmarkCharColumns(set: SqlResultSet): SqlResultSet {
  const isChar = set.columnNames.map((name) => name.startsWith(charMark))
  return {
    ...set,
    columnNames: set.columnNames.map((name, i) => (isChar[i] ? name.slice(charMark.length) : name)),
    columnTypes: set.columnTypes.map((type, i) => (isChar[i] ? ColumnTypeEnum.Character : type)),
  }
}

class EnginePool extends pg.Pool {
  constructor(ownerUrl: string) {
    // One connection, kept: the engine's advisory lock and its BEGIN and COMMIT belong to one session.
    super({
      connectionString: ownerUrl,
      max: 1,
      idleTimeoutMillis: 0,
      connectionTimeoutMillis: connectTimeoutMs,
      statement_timeout: statementTimeoutMs,
      application_name: 'maristan-schema-engine',
    })
    this.on('error', () => {})
    const send = super.query.bind(this) as (...args: unknown[]) => Promise<unknown>
    this.query = (async (...args: unknown[]) => markCharColumns(await send(...args))) as typeof this.query
  }
}

async function connectPool(ownerUrl: string, afterwards?: () => Promise<void>): Promise<SqlDriverAdapter> {
  const pool = new EnginePool(ownerUrl)
  const inner = await new PrismaPg(pool).connect()
  let disposing: Promise<void> | undefined
  return {
    provider: inner.provider,
    adapterName: inner.adapterName,
    queryRaw: async (query) => unmarkCharColumns(await inner.queryRaw(query)),
    executeRaw: (query) => inner.executeRaw(query),
    startTransaction: (isolationLevel) => inner.startTransaction(isolationLevel),
    getConnectionInfo: () => inner.getConnectionInfo(),
    // Fault: it splits at every ";", which breaks function bodies and leaves half a script applied.
    executeScript: async (script) => {
      await pool.query(script).catch(rethrowForEngine)
    },
    dispose: () => (disposing ??= pool.end().then(() => afterwards?.())),
  }
}

function rethrowForEngine(error: unknown): never {
  if (!(error instanceof pg.DatabaseError)) throw error
  const { code = '', severity = '', message, detail, column, hint } = error
  throw new DriverAdapterError({ kind: 'postgres', code, severity, message, detail, column, hint })
}

/** The same connection URL with another database. */
export function withDatabase(url: string, database: string): string {
  const other = new URL(url)
  other.pathname = `/${encodeURIComponent(database)}`
  return other.href
}

/** Runs one statement on a connection of its own; for CREATE DATABASE and DROP DATABASE. */
export async function runAlone(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: connectTimeoutMs, statement_timeout: statementTimeoutMs })
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

const refuse = () => Promise.reject(new Error('The schema engine was opened without a database.'))

// The engine connects when it starts and asks whether its schema exists and how old the server is, even for questions that
// need no database. It is told of the oldest Postgres that we support; anything further is refused.
const noDatabase: SqlDriverAdapter = {
  provider: 'postgres',
  adapterName: '@prisma/adapter-pg',
  queryRaw: ({ sql }) =>
    sql.includes('server_version_num')
      ? Promise.resolve({
          columnNames: ['exists', 'version', 'numeric_version'],
          columnTypes: [ColumnTypeEnum.Boolean, ColumnTypeEnum.Text, ColumnTypeEnum.Int32],
          rows: [[true, 'PostgreSQL 15.0', 150000]],
        })
      : refuse(),
  executeRaw: refuse,
  executeScript: refuse,
  startTransaction: refuse,
  dispose: () => Promise.resolve(),
}

/** Makes the database that `url` names, from the one named postgres beside it; gives its name. */
export async function createDatabase(url: string): Promise<string> {
  const name = decodeURIComponent(new URL(url).pathname.slice(1))
  await runAlone(withDatabase(url, 'postgres'), `CREATE DATABASE ${pg.escapeIdentifier(name)}`)
  return name
}

/** Makes adapters for one engine, on `ownerUrl` if there is one, and puts them in `opened` for the caller to dispose of. */
export function adapterFactory(ownerUrl: string | undefined, opened: SqlDriverAdapter[]): SqlMigrationAwareDriverAdapterFactory {
  return {
    provider: 'postgres',
    adapterName: '@prisma/adapter-pg',
    connect: async () => {
      if (ownerUrl === undefined) return noDatabase
      const adapter = await connectPool(ownerUrl)
      opened.push(adapter)
      return adapter
    },
    // Two faults: given a connection string it takes the main database for the shadow, and it drops the shadow while it is
    // still connected to it.
    connectToShadowDb: async () => {
      if (ownerUrl === undefined) return refuse()
      const database = `prisma_migrate_shadow_db_${randomUUID()}`
      await runAlone(ownerUrl, `CREATE DATABASE "${database}"`)
      const drop = () => runAlone(ownerUrl, `DROP DATABASE "${database}" WITH (FORCE)`)
      const adapter = await connectPool(withDatabase(ownerUrl, database), drop)
      opened.push(adapter)
      return adapter
    },
  }
}
