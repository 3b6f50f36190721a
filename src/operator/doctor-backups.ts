/** What `doctor` says of backups: the newest, which go soon, and a warning where none is young enough to come back from. It opens no file. */
import type pg from 'pg'
import { keptBackups, type RegisteredBackup } from './backups.ts'

type Shown = Pick<RegisteredBackup, 'id' | 'file' | 'madeAt' | 'keepUntil'>

export interface BackupsState {
  /** Of the whole database. Noted only after it was restored into a scratch database and compared, so each of them is verified. */
  readonly newest: (Shown & { readonly verified: 'when it was written' }) | null
  readonly kept: number
  /** Kept for less than another week: what they still open goes with them. */
  readonly expiring: readonly Shown[]
  /** Sentences; each says what to do. A warning makes nothing unhealthy. */
  readonly warnings: readonly string[]
}

const soonMs = 7 * 86_400_000
const hourMs = 3_600_000
const shown = ({ id, file, madeAt, keepUntil }: RegisteredBackup): Shown => ({ id, file, madeAt, keepUntil })

/** @param warnHours how old the newest may be, in hours. */
export async function backupsState(client: pg.Client, warnHours: number, now = Date.now()): Promise<BackupsState> {
  const kept = (await keptBackups(client)).filter(({ kind }) => kind === 'backup')
  const newest = kept.at(-1)
  const make = 'Write one: maristan backup --file <path>. A copy made by other means is in no register; set BACKUP_WARN_HOURS to 0 where those are all.'
  const ageHours = newest === undefined ? null : Math.floor((now - Date.parse(newest.madeAt)) / hourMs)
  const late = ageHours === null ? 'No backup of this database is kept.' : `The newest backup is ${ageHours} hours old (${newest!.file}).`
  return {
    newest: newest === undefined ? null : { ...shown(newest), verified: 'when it was written' },
    kept: kept.length,
    expiring: kept.filter(({ keepUntil }) => keepUntil !== null && Date.parse(keepUntil) - now < soonMs).map(shown),
    warnings: warnHours > 0 && (ageHours === null || ageHours >= warnHours) ? [`${late} ${make}`] : [],
  }
}

/** For a person. */
export function backupLines({ newest, kept, expiring, warnings }: BackupsState): string[] {
  const age = newest === null ? [] : [`newest ${newest.madeAt} (${newest.file}), verified ${newest.verified}; ${kept} kept`]
  const soon = expiring.map(({ file, keepUntil }) => `${file} is kept until ${keepUntil} only`)
  return [`${warnings.length === 0 ? 'ok   ' : 'WARN '}  backups`, ...[...age, ...soon, ...warnings].map((line) => `         ${line}`)]
}
