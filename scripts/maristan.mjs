#!/usr/bin/env node
// The `maristan` command: prepares the checkout, then runs src/cli.ts on the pinned Node. It decides nothing itself.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'
import process, { argv, exit } from 'node:process'
import { ensure, root, runtime } from './ensure.mjs'

ensure()

const child = spawn(runtime(), [join(root, 'src', 'cli.ts'), ...argv.slice(2)], { stdio: 'inherit' })

// On a terminal Ctrl-C reaches the child as well: it may see one wish twice.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))

child.on('error', (error) => {
  console.error(`Maristan: the pinned Node could not be started: ${error.message}. Repair it with: npm ci --no-audit --no-fund`)
  exit(1)
})
child.on('exit', (code, signal) => exit(code ?? 128 + (constants.signals[signal] ?? 0)))
