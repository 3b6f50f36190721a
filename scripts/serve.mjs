/**
 * Starts the server. Compiled code is kept between starts, from the first file on: what reads TypeScript takes some thirty megabytes, and
 * is not loaded where nothing has to be read anew.
 */
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'

// Code whose objects outlived one collection would be compiled to make them among the old ones from then on. Ours outlive a collection only
// while their request is under way, and as old ones they keep whatever they point to: decision 36.
setFlagsFromString('--no-allocation-site-pretenuring')
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compiled'))
await import('../src/main.ts')
