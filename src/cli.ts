/** The operator's door: `maristan <command>`. Every command takes --json; exit 0 done, 1 failed, 2 wrong usage. */
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

// Compiled code is kept between commands. Where it cannot be written, only that time is lost.
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compiled'))
const { runProgram } = await import('./operator/program.ts')
await runProgram(process.argv)
