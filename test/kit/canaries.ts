/** Words that must turn up nowhere in the clear, in whatever writing: and the places where they are looked for, all of a database's rows. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'

/** How a word may be written: as it is, bent in case, backwards, as hex, and as base64 at each of the three places in a group. */
export function writingsOf(word: string): ReadonlyMap<string, string> {
  const bytes = Buffer.from(word)
  const writings = new Map([
    ['plain', word.toLowerCase()],
    ['backwards', [...word].reverse().join('').toLowerCase()],
    ['hex', bytes.toString('hex')],
    ['JSON', JSON.stringify(word).slice(1, -1).toLowerCase()],
    ['escaped', [...word].map((one) => (one.charCodeAt(0) > 126 ? `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}` : one)).join('').toLowerCase()],
    ['percent', encodeURIComponent(word).toLowerCase()],
  ])
  for (const at of [0, 1, 2]) {
    // The first and the last characters of the group depend on what stands beside the word.
    const text = Buffer.concat([Buffer.alloc(at), bytes]).toString('base64url')
    const whole = text.slice(at === 0 ? 0 : at + 1, (at + bytes.length) % 3 === 0 ? undefined : -1)
    writings.set(`base64 ${at}`, whole)
    writings.set(`base64 with + and / ${at}`, whole.replaceAll('-', '+').replaceAll('_', '/'))
  }
  return writings
}

/** Which of the words stand in a text, and in which writing. */
export function foundIn(text: string, words: readonly string[]): string[] {
  const small = text.toLowerCase()
  return words.flatMap((word) =>
    [...writingsOf(word)].filter(([name, writing]) => (name.startsWith('base64') ? text : small).includes(writing)).map(([name]) => `${word} (${name})`),
  )
}

/** Every row of every table of every schema but Postgres' own, the job queue's and the partitions' too, and what Postgres keeps of columns. */
export async function dumpOf(ownerUrl: string): Promise<ReadonlyMap<string, string>> {
  const client = new pg.Client({ connectionString: ownerUrl })
  await client.connect()
  const dump = new Map<string, string>()
  try {
    await client.query('analyze')
    const { rows } = await client.query<{ name: string }>(
      `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_%'
       union all select 'pg_catalog.pg_stats'`,
    )
    for (const { name } of rows) {
      let text = ''
      for await (const part of client.query(copyTo(`copy (select * from ${name}) to stdout`))) text += String(part)
      dump.set(name, text)
    }
  } finally {
    await client.end()
  }
  return dump
}

/** Every file below a directory, as text. */
export function filesIn(directory: string): ReadonlyMap<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return new Map(files.map(({ parentPath, name }) => [name, readFileSync(join(parentPath, name), 'latin1')]))
}
