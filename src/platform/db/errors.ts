/** What a failed statement means to a caller. */
import { DriverAdapterError } from '@prisma/driver-adapter-utils'
import { Fault, fault, overloaded, timedOut } from '../../kernel/fault.ts'
import { Prisma } from './generated/client.ts'

export const databaseUnavailable = fault('unavailable', 'DATABASE_UNAVAILABLE', 'The database does not answer. Try again in a few seconds.')

export const statementsForgotten = fault(
  'unavailable',
  'STATEMENTS_FORGOTTEN',
  'A pooler in front of the database carries no prepared statements. Whoever runs this server sets DATABASE_PREPARED_STATEMENTS=0.',
)

/** SQLSTATE of Postgres behind an error of the driver, the adapter or Prisma; null when it is none of theirs. */
export function sqlStateOf(error: unknown): string | null {
  if (error instanceof DriverAdapterError) return error.cause.originalCode ?? ('code' in error.cause ? String(error.cause.code) : null)
  if (error instanceof Prisma.PrismaClientKnownRequestError) {
    const cause = (error.meta as { driverAdapterError?: unknown } | undefined)?.driverAdapterError
    return cause ? sqlStateOf(cause) : null
  }
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown }
  return typeof code === 'string' && typeof severity === 'string' ? code : null
}

export function isUniqueViolation(error: unknown): boolean {
  return sqlStateOf(error) === '23505' || (error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002')
}

/** Refused by Row Level Security or by a missing grant. */
export function isRefusedByWall(error: unknown): boolean {
  return sqlStateOf(error) === '42501'
}

const unreachable = new Set(['P1001', 'P1002', 'P1017', 'P2024', 'P2028', 'P2037'])

/** The fault that a database error is to the caller, or the error itself when it is our own mistake. */
export function faultOf(error: unknown): unknown {
  if (error instanceof Fault) return error
  // A fault thrown below Prisma comes back as an error of Prisma's that kept nothing but the code.
  if (error instanceof Prisma.PrismaClientKnownRequestError) {
    const below = [overloaded, timedOut].find((one) => one.code === error.code)
    if (below) return below()
  }
  const state = sqlStateOf(error)
  // 57014: statement_timeout; 55P03: lock_timeout; 25P03: idle_in_transaction_session_timeout.
  if (state === '57014' || state === '55P03' || state === '25P03') return timedOut()
  if (state === '53300') return overloaded()
  // 26000: a prepared statement's name is not known there; 42P05: it is another client's. Reads have healed themselves before this.
  if (state === '26000' || state === '42P05') return statementsForgotten()
  // Class 08: connection; 57P0x: shutdown, crash, starting up; 53: resources.
  if (state && /^(08|57P|53)/.test(state)) return databaseUnavailable()
  if (error instanceof Prisma.PrismaClientKnownRequestError && unreachable.has(error.code)) return databaseUnavailable()
  if (error instanceof DriverAdapterError) {
    const { kind } = error.cause
    if (kind === 'DatabaseNotReachable' || kind === 'ConnectionClosed' || kind === 'SocketTimeout') return databaseUnavailable()
  }
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown }
  if (code === 'ECONNREFUSED' || code === 'ECONNRESET' || code === 'EPIPE') return databaseUnavailable()
  if (typeof message === 'string' && /^(Connection terminated|Client has encountered a connection error|Connection ended)/.test(message)) {
    return databaseUnavailable()
  }
  return error
}
