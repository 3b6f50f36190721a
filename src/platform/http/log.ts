/**
 * The log, by allow-list: a fixed name of what happened and a flat record of known keys with primitive values. Anything else is
 * dropped: objects, unknown keys, the messages of unexpected errors (they quote rows and inputs).
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { pino, type DestinationStream } from 'pino'
import { Fault } from '../../kernel/fault.ts'
import { gathered } from './log-lines.ts'

/** The keys that may be logged. None of them is for names, places, free text or anything a person typed. */
export const logKeys = [
  'actorId',
  'attempt',
  'bytes',
  'code',
  'component',
  'count',
  'durationMs',
  'eventId',
  'failing',
  'host',
  'inboundRequestId',
  'job',
  'jobId',
  'kind',
  'keyId',
  'method',
  'migration',
  'model',
  'module',
  'operation',
  'plane',
  'port',
  'provider',
  'requestId',
  'route',
  'signal',
  'status',
  'tenantId',
  'version',
  'via',
] as const
export type LogKey = (typeof logKeys)[number]

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

export type LogRecord = { readonly [Key in LogKey]?: string | number | boolean | null | undefined } & {
  /** Reduced to its name, code and the lines of ours it passed through; its message only when it is a fault. */
  readonly error?: unknown
}

/** A name known when the program was written: neither a variable nor a template with one. */
type Fixed<Name extends string> = Record<never, never> extends Record<Name, 1> ? never : Name

type Write = <const Name extends string>(name: Name & Fixed<Name>, record?: LogRecord) => void

export interface Log {
  readonly debug: Write
  readonly info: Write
  readonly warn: Write
  readonly error: Write
}

const maxText = 200
const maxFrames = 12
const keys: ReadonlySet<string> = new Set(logKeys)
const root = new URL('../../../', import.meta.url)
// Frames name modules by URL, or by path once something has mapped the stack.
const spellings = [root.href, fileURLToPath(root)]

const harmless = /^[\x20-\x7e]*$/

function clean(text: string): string {
  if (text.length <= maxText && harmless.test(text)) return text
  // Control, format (bidi overrides) and separator characters could forge or disguise a line.
  return text.slice(0, maxText * 2).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '').slice(0, maxText)
}

/** `src/...ts:line` of our own files, innermost first. */
function framesOf({ stack, message }: Error): string {
  if (typeof stack !== 'string' || typeof message !== 'string') return ''
  // The message stands in front of the frames and could itself look like one; so could a file that is not there.
  const start = message === '' ? 0 : Math.max(0, stack.indexOf(message)) + message.length
  const frames: string[] = []
  for (const line of stack.slice(start, start + 16_000).split('\n')) {
    const under = spellings.find((spelling) => line.includes(spelling))
    if (under === undefined || !line.startsWith('    at ')) continue
    const place = line.slice(line.lastIndexOf(under) + under.length)
    const [, file, lineNumber] = /^((?:src|scripts|test)\/[\w./-]{1,160}\.ts)(?:\?[\w=&-]*)?:(\d{1,5}):\d{1,5}\)?$/.exec(place) ?? []
    if (file && existsSync(new URL(file, root))) frames.push(`${file}:${lineNumber}`)
  }
  return frames.slice(0, maxFrames).join(' ')
}

function reduceError(error: unknown): Record<string, string> {
  if (!(error instanceof Error)) return { errorName: 'NotAnError' }
  const reduced: Record<string, string> = {
    errorName: /^[A-Za-z]\w{0,63}$/.test(error.name) ? error.name : 'Error',
    errorStack: framesOf(error),
  }
  if ('code' in error && typeof error.code === 'string' && /^[A-Z0-9_]{2,48}$/.test(error.code)) reduced.errorCode = error.code
  if (error instanceof Fault) reduced.errorMessage = clean(error.message)
  return reduced
}

function allowed(record: LogRecord): Record<string, unknown> {
  const kept: Record<string, unknown> = {}
  let dropped = 0
  for (const [key, value] of Object.entries(record)) {
    if (value === undefined) continue
    if (key === 'error') Object.assign(kept, reduceError(value))
    else if (!keys.has(key)) dropped++
    else if (typeof value === 'string') kept[key] = clean(value)
    else if (typeof value === 'boolean' || value === null || Number.isFinite(value)) kept[key] = value
    else dropped++
  }
  return dropped > 0 ? { ...kept, dropped } : kept
}

/**
 * Makes the log: one JSON line an event, `{ level, time, event, ... }`.
 * @param destination standard output unless told, with lines gathered for a moment.
 */
export function createLog({ level, destination }: { readonly level: LogLevel; readonly destination?: DestinationStream }): Log {
  const options = {
    level,
    base: null,
    messageKey: 'event',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  const logger = pino(options, destination ?? gathered(pino.destination({ dest: 1, sync: true })))
  const write =
    (at: Exclude<LogLevel, 'silent'>): Write =>
    (name, record = {}) => {
      if (!logger.isLevelEnabled(at)) return
      const event: string = /^[a-z][a-z0-9-]{0,31}(\.[a-z0-9-]{1,31}){0,2}$/.test(name) ? name : 'log.misnamed'
      logger[at](allowed(record), event)
    }
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
}
