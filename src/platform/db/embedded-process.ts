/**
 * Who holds a data directory: the lock of one server, and the orphaned Postgres of an earlier one.
 * Refuses a directory in use, and never signals a process that it cannot prove to be that Postgres.
 */
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import {
  chownSync, closeSync, fsyncSync, linkSync, openSync, readFileSync, readlinkSync, realpathSync, renameSync, rmSync, writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Account } from './embedded-binaries.ts'
import { ownDirectory, quoted } from './embedded-binaries.ts'

/** How long a fast shutdown (SIGINT) may take before an immediate one (SIGQUIT) follows, and that one before we give up. */
export const fastShutdownMs = 20_000
export const immediateShutdownMs = 10_000
/** How often a condition of another process is looked at. */
export const pollMs = 20

/** The text of a file, or undefined where there is none. */
export function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Writes a file of mode 0600 whole or not at all, durably.
 * By rename: it never follows a link that somebody put in its place.
 */
export function writePrivate(directory: string, name: string, text: string): void {
  const aside = join(directory, `.${name}.${randomUUID()}`)
  const file = openSync(aside, 'wx', 0o600)
  try {
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(aside, join(directory, name))
}

/**
 * What tells a process from a later one of the same number: boot and start time, on Linux; elsewhere a constant.
 * Undefined when no such process lives (a zombie does not).
 */
function birthOf(pid: number): string | undefined {
  if (process.platform === 'linux') {
    try {
      // proc(5): field 2 is in brackets and may hold anything; state is field 3, start time field 22.
      const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\)\s/s, '').split(' ')
      if (fields[0] === 'Z' || fields[0] === 'X') return undefined
      return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()}/${fields[19]}`
    } catch {
      return undefined
    }
  }
  try {
    process.kill(pid, 0)
    return 'alive'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? 'alive' : undefined
  }
}

/** What a file says to name this process as its holder. */
export function processMark(): string {
  return JSON.stringify({ pid: process.pid, born: birthOf(process.pid) ?? '' })
}

/** Whether the process that a mark names still lives. */
export function isLiving(mark: string): boolean {
  const holder = holderOf(mark)
  return holder !== undefined && birthOf(holder.pid) === holder.born
}

function holderOf(lock: string): { pid: number; born: string } | undefined {
  try {
    const { pid, born } = JSON.parse(lock) as { pid: unknown; born: unknown }
    return Number.isSafeInteger(pid) && Number(pid) > 0 && typeof born === 'string' ? { pid: Number(pid), born } : undefined
  } catch {
    return undefined
  }
}

/**
 * Takes `<dataDir>/server.lock` for this process; a lock of a process that is gone is taken over.
 * @returns the function that gives the lock back.
 * @throws naming the process that holds the directory.
 */
export function holdDirectory(dataDir: string): () => void {
  const path = join(dataDir, 'server.lock')
  const aside = `server.lock.${randomUUID()}`
  const mine = processMark()
  writePrivate(dataDir, aside, mine)
  try {
    for (;;) {
      try {
        linkSync(join(dataDir, aside), path)
        break
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      const found = textOf(path)
      if (found === undefined) continue
      if (isLiving(found)) {
        const { pid } = holderOf(found)!
        throw new Error(
          `${dataDir} is in use by the running Maristan of process ${pid}. ` +
            `Stop it first (kill ${pid}), or set DATA_DIR to another directory.`,
        )
      }
      putAside(path, found)
    }
  } finally {
    rmSync(join(dataDir, aside), { force: true })
  }
  return () => {
    if (textOf(path) === mine) rmSync(path, { force: true })
  }
}

/** Whether a living server holds this data directory. */
export function isHeld(dataDir: string): boolean {
  return isLiving(textOf(join(dataDir, 'server.lock')) ?? '')
}

/** Removes a stale lock, unless another starter has just put its own in the place: that one is put back. */
function putAside(path: string, stale: string): void {
  const aside = `${path}.${randomUUID()}`
  try {
    renameSync(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if (textOf(aside) !== stale) linkSync(aside, path)
  rmSync(aside)
}

/** The command line of a process, each argument framed by NUL (Linux) or blanks (elsewhere, from ps); empty when it cannot be told. */
function commandOf(pid: number): { text: string; frame: string } {
  if (process.platform !== 'linux') {
    const { stdout } = spawnSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })
    return { text: ` ${stdout.trim()} `, frame: ' ' }
  }
  try {
    return { text: `\0${readFileSync(`/proc/${pid}/cmdline`, 'utf8')}`, frame: '\0' }
  } catch {
    // It ended between two looks.
    return { text: '', frame: '\0' }
  }
}

/** Whether this process is the main process of a Postgres on exactly this cluster. */
function servesCluster(pid: number, cluster: string): boolean {
  if (birthOf(pid) === undefined) return false
  const { text, frame } = commandOf(pid)
  if (!text.includes(`/postgres${frame}`)) return false
  const place = realpathSync(cluster)
  if (text.includes(`${frame}-D${frame}${place}${frame}`)) return true
  return text.includes(`${frame}-D${frame}${ownDirectory}${frame}`) && workingDirectoryOf(pid) === place
}

function workingDirectoryOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    // It ended between two looks, or is not ours to look at.
    return undefined
  }
}

async function isGone(pid: number, cluster: string, withinMs: number): Promise<boolean> {
  for (const until = performance.now() + withinMs; performance.now() < until; await delay(pollMs)) {
    if (!servesCluster(pid, cluster)) return true
  }
  return false
}

/** What Postgres itself says in its postmaster.pid: its process, and whether it lets clients in. */
export function postmasterState(cluster: string): { pid: number; ready: boolean } | undefined {
  const lines = textOf(join(cluster, 'postmaster.pid'))?.split('\n')
  const pid = Number(lines?.[0])
  if (lines === undefined || !Number.isSafeInteger(pid) || pid <= 0) return undefined
  return { pid, ready: lines[7]?.trim() === 'ready' }
}

/**
 * Stops a Postgres that outlived its server on this cluster (the server was killed with SIGKILL).
 * @throws when it does not end within the bounds.
 */
export async function stopOrphan(cluster: string, log: (line: string) => void): Promise<void> {
  const pid = postmasterState(cluster)?.pid
  if (pid === undefined || !servesCluster(pid, cluster)) return
  log(`A Postgres of an earlier server still runs on this data (process ${pid}): stopping it.`)
  for (const [signal, withinMs] of [['SIGINT', fastShutdownMs], ['SIGQUIT', immediateShutdownMs]] as const) {
    try {
      process.kill(pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
    if (await isGone(pid, cluster, withinMs)) return
  }
  throw new Error(`The orphaned Postgres of process ${pid} does not stop. Stop it and start again: kill -QUIT ${pid}`)
}

/**
 * Makes a left-over postmaster.pid harmless when its number now belongs to a stranger or a zombie. Call it only when no Postgres serves the
 * cluster. The file itself stays, because its shared memory key helps Postgres to see that backends of a killed one still write. Only the
 * process number becomes ours: Postgres never takes its own parent for a rival.
 */
export function disownPostmasterFile(cluster: string, dataDir: string, account: Account): void {
  const path = join(cluster, 'postmaster.pid')
  const text = textOf(path)
  if (text === undefined) return
  const lines = text.split('\n')
  if (!/^\d+$/.test(lines[0] ?? '')) throw new Error(`${path} is damaged. Remove it if no Postgres runs on this data: rm ${quoted(path)}`)
  const aside = 'postmaster.pid.disowned'
  writePrivate(dataDir, aside, [process.pid, ...lines.slice(1)].join('\n'))
  if (account.lent) chownSync(join(dataDir, aside), account.uid, account.gid)
  renameSync(join(dataDir, aside), path)
}
