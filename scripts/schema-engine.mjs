#!/usr/bin/env node
/**
 * Stands in for Prisma's native schema engine where it cannot be downloaded: speaks its JSON-RPC on stdin and stdout, one
 * document a line, and answers from the same engine compiled to WebAssembly.
 *
 *     PRISMA_SCHEMA_ENGINE_BINARY=scripts/schema-engine.mjs npx prisma migrate status
 *
 * For development; it refuses methods that it does not know and lines that are too long. A configured shadow database is not
 * used: a scratch one is made beside the main one and dropped with each answer.
 */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const maxLineChars = 256 * 1024 * 1024

// The names of the protocol, and what the engine calls them.
const methods = new Map([
  ['applyMigrations', 'applyMigrations'],
  ['createMigration', 'createMigration'],
  ['dbExecute', 'dbExecute'],
  ['devDiagnostic', 'devDiagnostic'],
  ['diagnoseMigrationHistory', 'diagnoseMigrationHistory'],
  ['diff', 'diff'],
  ['ensureConnectionValidity', 'ensureConnectionValidity'],
  ['evaluateDataLoss', 'evaluateDataLoss'],
  ['getDatabaseVersion', 'version'],
  ['introspect', 'introspect'],
  ['introspectSql', 'introspectSql'],
  ['markMigrationApplied', 'markMigrationApplied'],
  ['markMigrationRolledBack', 'markMigrationRolledBack'],
  ['reset', 'reset'],
  ['schemaPush', 'schemaPush'],
])

/** Prisma may run on an older Node than the project's own, which cannot read the engine's TypeScript. */
function relaunch() {
  const node = join(import.meta.dirname, '../node_modules/.bin/node')
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' })
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  child.on('error', (error) => {
    console.error(`The schema engine needs Node 24 or ${node}: ${error.message}`)
    process.exitCode = 1
  })
  child.on('exit', (code) => {
    process.exitCode = code ?? 1
  })
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      version: { type: 'boolean' },
      datamodels: { type: 'string', multiple: true, default: [] },
      datasource: { type: 'string' },
      'enabled-preview-features': { type: 'string' },
      'extension-types': { type: 'string' },
    },
  })
  if (values.version) return printVersion()
  const url = values.datasource === undefined ? undefined : JSON.parse(values.datasource).url
  if (positionals[0] === 'cli') return runDatabaseCommand(positionals[1], url)
  return serve(url, values.datamodels)
}

async function printVersion() {
  const manifest = JSON.parse(await readFile(join(import.meta.dirname, '../node_modules/@prisma/schema-engine-wasm/package.json'), 'utf8'))
  console.log(`schema-engine-cli ${manifest.version.split('.').at(-1)}`)
}

/** The two one-shot commands that Prisma asks before it starts the engine proper. */
async function runDatabaseCommand(command, url) {
  const { createDatabase, runAlone } = await import('../src/platform/db/schema-engine-adapter.ts')
  const commands = { 'can-connect-to-database': () => runAlone(url, 'SELECT 1'), 'create-database': () => createDatabase(url) }
  try {
    if (!Object.hasOwn(commands, command)) throw new Error(`Unknown command ${command}.`)
    await commands[command]()
  } catch (error) {
    const errorCode = { '3D000': 'P1003', 28000: 'P1000', '28P01': 'P1000' }[error.code] ?? 'P1001'
    // Prisma drops the first line and reads the second.
    const fields = { is_panic: false, message: error.message || error.code, error_code: errorCode }
    console.error(JSON.stringify({ level: 'INFO', target: 'schema_engine', fields: { message: 'Starting schema engine CLI' } }))
    console.error(JSON.stringify({ level: 'ERROR', target: 'schema_engine::logger', fields }))
    process.exitCode = 1
  }
}

async function serve(url, datamodelPaths) {
  const { openSchemaEngine } = await import('../src/platform/db/schema-engine.ts')
  const files = await Promise.all(datamodelPaths.map(async (path) => ({ path, content: await readFile(path, 'utf8') })))
  let opening
  const engine = () => (opening ??= openSchemaEngine(url, files))
  const close = async () => (await opening?.catch(() => undefined))?.close()
  const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  // Prisma closes stdin and ends us at once: answers are complete by then, connections are not.
  process.once('SIGTERM', () => close().finally(() => process.exit(0)))

  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    if (line.length > maxLineChars) throw new Error(`A request is longer than ${maxLineChars} characters.`)
    const { id, method, params } = JSON.parse(line)
    if (method === undefined) continue // the answer to a print
    try {
      const result = await answer(await engine(), url, method, params)
      if (method === 'diff' && result.stdout) send({ id: `print-${id}`, method: 'print', params: { content: result.stdout } })
      send({ id, result: result ?? null })
    } catch (error) {
      const data = { is_panic: false, message: error.message, meta: error.meta ?? null, error_code: error.code ?? null }
      send({ id, error: { code: 4466, message: 'An error happened. Check the data field for details.', data } })
    }
  }
  await close()
}

async function answer(engine, url, method, params) {
  if (method === 'createDatabase') {
    const { createDatabase } = await import('../src/platform/db/schema-engine-adapter.ts')
    return { databaseName: await createDatabase(url) }
  }
  const name = methods.get(method)
  if (name === undefined) throw new Error(`The schema engine has no method ${JSON.stringify(method)}.`)
  return engine.ask(name, params)
}

await (process.features.typescript ? main() : relaunch())
