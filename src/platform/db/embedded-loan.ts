/**
 * The binaries for a Postgres that root lends another account: the package's own where that account can reach them, else a private copy
 * in a temporary directory, which lives as long as the server. Refuses, with the mending command, where no copy could be run either.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Account, Binaries } from './embedded-binaries.ts'
import { binariesIn, closedBinaries, closedTo, entersByDirectory, locateBinaries, nativeRoot, openingOf } from './embedded-binaries.ts'
import { isLiving, processMark, textOf, writePrivate } from './embedded-process.ts'

export interface LoanedBinaries extends Binaries {
  /** Removes the copy, if one was made. Postgres may still be ending: it starts no program then. */
  giveBack(): void
}

const prefix = 'maristan-postgres-'
const holderFile = 'holder'
/** A copy without a holder's mark is being made, or its making was cut off; after this long it is the latter. */
const makingMs = 60_000

const places = (): string[] => [...new Set([tmpdir(), '/var/tmp', '/run'])]

/** Places where the account could reach a copy. A place it can reach may still forbid programs (mounted noexec). */
function reachablePlaces(account: Account): string[] {
  return places().filter((place) => lstatSync(place, { throwIfNoEntry: false }) !== undefined && closedTo(account, place).length === 0)
}

/** What keeps the lent account from any binaries: a sentence for each closed directory; empty when it has some. */
export function loanProblems(account: Account): string[] {
  if (!account.lent) return []
  const closed = closedBinaries(account)
  const copyable = entersByDirectory(account) && reachablePlaces(account).length > 0
  return closed.length === 0 || copyable ? [] : closed.map((directory) => openingOf(directory, account))
}

/** Removes copies whose server is gone. Only directories of root's are looked at: anybody may make names in a temporary directory. */
function sweep(place: string): void {
  for (const name of readdirSync(place).filter((one) => one.startsWith(prefix))) {
    const directory = join(place, name)
    const found = lstatSync(directory, { throwIfNoEntry: false })
    if (found === undefined || !found.isDirectory() || found.uid !== 0) continue
    const holder = textOf(join(directory, holderFile))
    const isStale = holder === undefined ? Date.now() - found.mtimeMs > makingMs : !isLiving(holder)
    if (isStale) rmSync(directory, { recursive: true, force: true, maxRetries: 10 })
  }
}

/** Sets every mode: the package may have been installed under a umask that kept others out. Links keep their target's. */
function openToAll(directory: string): void {
  chmodSync(directory, 0o755)
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory()) chmodSync(path, 0o755)
    else if (entry.isFile() && entry.name !== holderFile) chmodSync(path, lstatSync(path).mode & 0o100 ? 0o755 : 0o644)
  }
}

function copyTo(place: string, account: Account): LoanedBinaries | null {
  const directory = mkdtempSync(join(place, prefix))
  const giveBack = () => rmSync(directory, { recursive: true, force: true, maxRetries: 10 })
  try {
    writePrivate(directory, holderFile, processMark())
    for (const part of ['bin', 'lib', 'share']) {
      cpSync(join(nativeRoot(), part), join(directory, part), { recursive: true, verbatimSymlinks: true })
    }
    openToAll(directory)
    const binaries = binariesIn(directory)
    const { status } = spawnSync(binaries.postgres, ['--version'], { cwd: '/', env: {}, uid: account.uid, gid: account.gid })
    if (status === 0) return { ...binaries, giveBack }
  } catch (error) {
    giveBack()
    throw error
  }
  giveBack()
  return null
}

/**
 * The binaries that the account of Postgres can run.
 * @throws naming the directories to open when neither the package's own nor a copy can be run.
 */
export function borrowBinaries(account: Account): LoanedBinaries {
  const own = locateBinaries()
  const closed = account.lent ? closedBinaries(account) : []
  if (closed.length === 0) return { ...own, giveBack: () => undefined }
  if (entersByDirectory(account)) {
    for (const place of reachablePlaces(account)) {
      sweep(place)
      const copy = copyTo(place, account)
      if (copy !== null) return copy
    }
  }
  throw new Error(closed.map((directory) => openingOf(directory, account)).join('\n'))
}
