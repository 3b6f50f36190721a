/** Installs a benchmark's peers, which live in a package of their own and are no dependency of ours. */
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** @param folder holds package.json and package-lock.json. Nothing is done where the installed packages are newer than the lock. */
export function installPeers(folder: string): void {
  const lock = statSync(join(folder, 'package-lock.json'))
  const installed = join(folder, 'node_modules', '.package-lock.json')
  if (existsSync(installed) && statSync(installed).mtimeMs >= lock.mtimeMs) return
  const done = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder, stdio: ['ignore', 2, 2] })
  if (done.status !== 0) throw new Error(`npm could not install the peers in ${folder}.`)
}
