/**
 * Prisma's schema engine as WebAssembly, for networks that cannot download its native build: what SQL turns this database
 * into prisma/schema? For development and tests; migrate.ts applies, and needs none of this.
 *
 * The diff does not see policies, triggers, functions, grants, checks, exclusion constraints, partial and expression indexes,
 * views, sequences, domains, storage settings, or anything in a Postgres schema that the datamodel does not list. It does see
 * these, so the datamodel must declare them or the diff asks to undo them:
 * - other indexes: `@@index(type: Gin | Brin | Hash)`, `ops: raw("gin_trgm_ops")`, `sort: Desc`; NULLS NOT DISTINCT as a
 *   `@@unique` of the same name. INCLUDE cannot be declared: make the index partial (`WHERE tenant_id IS NOT NULL`);
 * - generated columns: `@default(dbgenerated())`, of an unknown type as `Unsupported("tsvector")?`; default expressions as
 *   Postgres prints them: `@default(dbgenerated("(1 + 1)"))`;
 * - every table (a partitioned one as a plain model, its partitions not at all), enum and foreign key of the listed schemas.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils'
import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils'
import type { DiffTarget, SchemaContainer, SchemaEngine } from '@prisma/schema-engine-wasm'
import { adapterFactory } from './schema-engine-adapter.ts'

/** Where the datamodel lives, one file a module. */
export const defaultSchemaDirectory = join(import.meta.dirname, '../../../prisma/schema')

const maxSchemaFiles = 200
const maxSchemaFileChars = 1_000_000

type EngineModule = typeof import('@prisma/schema-engine-wasm') & { __wbg_set_wasm(exports: object): void }

// The part of WebAssembly used here: its types come only with the browser's.
declare const WebAssembly: {
  instantiate(bytes: Uint8Array, imports: object): Promise<{ instance: { exports: { __wbindgen_start(): void } } }>
}

let loading: Promise<EngineModule> | undefined

async function loadModule(): Promise<EngineModule> {
  // The package's own entry point imports the .wasm file as a module, which only bundlers do.
  const glueUrl = import.meta.resolve('@prisma/schema-engine-wasm/schema_engine_bg')
  const glue = (await import(glueUrl)) as EngineModule
  const bytes = await readFile(new URL('schema_engine_bg.wasm', glueUrl))
  const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': glue })
  // A panic reports here first and then traps; the trap alone says only "unreachable".
  Object.assign(globalThis, { PRISMA_WASM_PANIC_REGISTRY: { set_message: (message: string) => process.stderr.write(`${message}\n`) } })
  glue.__wbg_set_wasm(instance.exports)
  instance.exports.__wbindgen_start()
  return glue
}

/** The methods that take one JSON document and answer with another. */
export type EngineMethod = Exclude<keyof SchemaEngine, 'free' | 'debugPanic' | typeof Symbol.dispose>

/** A running engine. */
export interface OpenEngine {
  /**
   * Asks one question.
   * @throws what the engine or the database says; the engine's own errors carry `code` and `meta`.
   */
  ask<M extends EngineMethod>(method: M, params: Parameters<SchemaEngine[M]>[0]): Promise<Awaited<ReturnType<SchemaEngine[M]>>>
  /** Closes its connections and drops what shadow databases it forgot. */
  close(): Promise<void>
}

/**
 * Starts an engine.
 * @param ownerUrl connection URL of the owner; without it the engine answers only what needs no database.
 * @param files the datamodel that the engine assumes where a call names none.
 */
export async function openSchemaEngine(ownerUrl: string | undefined, files: readonly SchemaContainer[]): Promise<OpenEngine> {
  loading ??= loadModule()
  const { SchemaEngine } = await loading
  const opened: SqlDriverAdapter[] = []
  const factory = bindMigrationAwareSqlAdapterFactory(adapterFactory(ownerUrl, opened))
  // What the adapter threw crosses the engine as a number.
  const restore = (error: unknown): never => {
    const id = /^External error id#(\d+)/.exec(error instanceof Error ? error.message : '')?.[1]
    throw (id !== undefined && factory.errorRegistry.consumeError(Number(id))?.error) || error
  }
  const close = async () => {
    await Promise.all(opened.map((adapter) => adapter.dispose()))
  }
  const datamodels = files.length > 0 ? files.map(({ path, content }): [string, string] => [path, content]) : undefined
  const engine = await SchemaEngine.new({ datamodels }, () => {}, factory).catch(async (error: unknown) => {
    await close()
    return restore(error)
  })
  type Call = (params: unknown) => Promise<never>
  return { ask: (method, params) => (engine[method] as Call).call(engine, params).catch(restore), close }
}

async function readSchema(directory: string): Promise<SchemaContainer[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.prisma')).sort()
  if (names.length === 0) throw new Error(`There is no .prisma file in ${directory}.`)
  if (names.length > maxSchemaFiles) throw new Error(`More than ${maxSchemaFiles} .prisma files in ${directory}.`)
  return Promise.all(
    names.map(async (name) => {
      const path = join(directory, name)
      const content = await readFile(path, 'utf8')
      if (content.length > maxSchemaFileChars) throw new Error(`${path} is longer than ${maxSchemaFileChars} characters.`)
      return { path, content }
    }),
  )
}

const noFilters = { externalTables: [], externalEnums: [] }

async function diff(ownerUrl: string | undefined, files: SchemaContainer[], from: DiffTarget): Promise<string> {
  const engine = await openSchemaEngine(ownerUrl, files)
  try {
    const to: DiffTarget = { tag: 'schemaDatamodel', files }
    const { stdout, exitCode } = await engine.ask('diff', { from, to, script: true, exitCode: true, filters: noFilters })
    // Exit code 0 means equal; the script is then a comment that says so.
    return exitCode === 0 ? '' : (stdout ?? '')
  } finally {
    await engine.close()
  }
}

/**
 * SQL that turns what the database holds into the datamodel; empty when they are equal (see above for what is not compared).
 * @throws when the database cannot be reached or the datamodel is invalid.
 */
export async function schemaDiff(options: { ownerUrl: string; schemaDirectory?: string }): Promise<string> {
  const directory = options.schemaDirectory ?? defaultSchemaDirectory
  const files = await readSchema(directory)
  return diff(options.ownerUrl, files, { tag: 'schemaDatasource', files, configDir: directory })
}

/** SQL that creates the datamodel from nothing; needs no database. */
export async function schemaFromEmpty(options: { schemaDirectory?: string } = {}): Promise<string> {
  const files = await readSchema(options.schemaDirectory ?? defaultSchemaDirectory)
  return diff(undefined, files, { tag: 'empty' })
}
