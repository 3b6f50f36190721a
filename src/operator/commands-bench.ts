/** `maristan bench <name>`: runs one of the benchmarks of `test/bench`, which a packed copy of the server does not carry. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'

const runner = join(import.meta.dirname, '../../test/bench/run.ts')

export function benchCommand(program: Command): void {
  program
    .command('bench <name>')
    .description('measure ours against others, as ratios')
    .action((name: string, options: { json?: true }) => {
      if (!existsSync(runner)) throw new Error('The benchmarks are in a checkout of the project, under test/bench; there is none here.')
      const json = options.json || program.opts<{ json?: true }>().json
      process.exitCode = spawnSync(process.execPath, [runner, name, ...(json ? ['--json'] : [])], { stdio: 'inherit' }).status ?? 1
    })
}
