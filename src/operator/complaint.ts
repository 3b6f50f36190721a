/** What went wrong, said to the operator: a sentence that says what to do. Only a mistake of ours comes with its stack. */

import { UnsafeDatabase } from '../platform/db/provision.ts'

/** How the logins are mended all at once, the embedded database's too. */
export const mendLogins = 'Run these as the owner, or all at once: maristan migrate --mend-logins'

const ours = [TypeError, RangeError, ReferenceError, SyntaxError]

interface SystemError extends Error {
  readonly code?: string
  readonly syscall?: string
  readonly address?: string
  readonly port?: number
}

/** Why an address cannot be listened on. */
export function listenProblem({ host, port, code }: { host: string; port: number; code: string | undefined }): string {
  return code === 'EADDRINUSE'
    ? `Port ${port} on ${host} is taken by another program. Stop it, or set PORT to a free one.`
    : `Port ${port} on ${host} cannot be used (${code}). Set PORT or HOST to others.`
}

/** One or more sentences for a terminal. */
export function complaint(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // A host with several addresses fails at each of them.
  const { code, syscall, address, port }: SystemError = error instanceof AggregateError ? error.errors.at(-1) : error
  if (syscall === 'listen') return listenProblem({ host: address ?? 'this machine', port: port ?? 0, code })
  if (syscall === 'connect') return `Nothing answers at ${address}:${port} (${code}). Start it, or correct the address: DATABASE_URL, DATABASE_OWNER_URL.`
  if (syscall === 'getaddrinfo') return `The name of a host is unknown (${code}). Correct it: HOST, DATABASE_URL, DATABASE_OWNER_URL.`
  if (error instanceof UnsafeDatabase) return `${error.message}\n${mendLogins}`
  return ours.some((kind) => error instanceof kind) ? (error.stack ?? error.message) : error.message
}
