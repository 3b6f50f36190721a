/**
 * Where signed checkpoints go: a place outside the database, so that whoever owns the database cannot take them along. A sink only
 * ever adds; it replaces and removes nothing.
 */
import { link, mkdir, open, readdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export interface Sink {
  /** For people: a directory, or `s3://bucket/prefix`. */
  readonly place: string
  /** Adds an object that was never there. @throws when it was, or when it cannot be known to be durable. */
  put(name: string, text: string): Promise<void>
  /** Adds an object unless it is there already. */
  putOnce(name: string, text: string): Promise<void>
  /** The objects whose names begin so, in the order of their names. */
  list(prefix: string): AsyncGenerator<{ readonly name: string; text(): Promise<string> }>
}

const nameShape = /^[\w.-]+(\/[\w.-]+)*$/

/** @throws RangeError for a name that would leave the sink. */
export function sinkName(name: string): string {
  if (!nameShape.test(name) || name.split('/').includes('..')) throw new RangeError('This is no name of an object of the sink.')
  return name
}

/** What is being written: no object yet, and none of `list`. One that a killed process left is written anew under a name of its own time. */
const unfinished = '.part'

/**
 * A directory; files that their owner alone reads, each on the disk before `put` resolves. An object is there whole or not at all, when the disk is
 * full too: it is written beside its name and then linked to it, which never replaces. The file system must know hard links.
 */
export function directorySink(directory: string): Sink {
  const put = async (name: string, text: string): Promise<void> => {
    const path = join(directory, sinkName(name))
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const beside = `${path}${unfinished}`
    await rm(beside, { force: true })
    const file = await open(beside, 'wx', 0o600)
    try {
      await file.writeFile(text).then(() => file.sync()).finally(() => file.close())
      await link(beside, path)
    } finally {
      await rm(beside, { force: true })
    }
    // The name itself is durable only with its directory.
    const parent = await open(dirname(path), 'r')
    await parent.sync().finally(() => parent.close())
  }
  return {
    place: directory,
    put,
    async putOnce(name, text) {
      await put(name, text).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error
      })
    },
    async *list(prefix) {
      const found = await readdir(join(directory, sinkName(prefix)), { recursive: true, withFileTypes: true }).catch(
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'ENOENT') return []
          throw error
        },
      )
      const paths = found.filter((entry) => entry.isFile() && !entry.name.endsWith(unfinished)).map((entry) => join(entry.parentPath, entry.name))
      for (const path of paths.sort()) yield { name: path.slice(directory.length + 1), text: () => readFile(path, 'utf8') }
    },
  }
}
