/**
 * Starts the server. Compiled code is kept between starts, from the first file on: what reads TypeScript takes some thirty megabytes, and
 * is not loaded where nothing has to be read anew.
 */
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compiled'))
await import('../src/main.ts')
