/** Expected failures. The kernel knows their kinds; modules own their codes; statuses are chosen at the edge only. */

export const faultKinds = ['absent', 'denied', 'conflict', 'invalid', 'limited', 'unavailable'] as const
export type FaultKind = (typeof faultKinds)[number]

/** An expected failure that a caller may see. Its message and data never hold PHI or secrets. */
export class Fault<Data = unknown> extends Error {
  readonly kind: FaultKind
  /** Stable, SCREAMING_SNAKE_CASE; part of the public interface. */
  readonly code: string
  readonly data: Data

  constructor(kind: FaultKind, code: string, message: string, data: Data) {
    super(message)
    this.name = 'Fault'
    this.kind = kind
    this.code = code
    this.data = data
  }
}

// One class a kind, so that an edge can tell kinds apart by type.
export class AbsentFault<Data = unknown> extends Fault<Data> {}
export class DeniedFault<Data = unknown> extends Fault<Data> {}
export class ConflictFault<Data = unknown> extends Fault<Data> {}
export class InvalidFault<Data = unknown> extends Fault<Data> {}
export class LimitedFault<Data = unknown> extends Fault<Data> {}
export class UnavailableFault<Data = unknown> extends Fault<Data> {}

const classes = {
  absent: AbsentFault,
  denied: DeniedFault,
  conflict: ConflictFault,
  invalid: InvalidFault,
  limited: LimitedFault,
  unavailable: UnavailableFault,
} as const satisfies Record<FaultKind, typeof Fault>

export interface FaultMaker<Data> {
  (...args: undefined extends Data ? [] : [data: Data]): Fault<Data>
  readonly kind: FaultKind
  readonly code: string
  /** True when `error` is a fault of this code. */
  is(error: unknown): error is Fault<Data>
}

const codes = new Map<string, FaultKind>()
const sentences = new Map<string, string | ((data: never) => string)>()

/**
 * Declares a fault: its kind, its stable code and the sentence that tells the caller what to do.
 * @throws when the code is taken or misspelt: two meanings of one code would mislead every client.
 */
export function fault<Data = undefined>(kind: FaultKind, code: string, say: string | ((data: Data) => string)): FaultMaker<Data> {
  if (!/^[A-Z][A-Z0-9_]{2,47}$/.test(code)) throw new Error(`Fault code ${code} is not SCREAMING_SNAKE_CASE of 3 to 48 characters.`)
  if (codes.has(code)) throw new Error(`Fault code ${code} is declared twice.`)
  codes.set(code, kind)
  sentences.set(code, say)
  const make = (data?: Data) => new classes[kind](kind, code, typeof say === 'string' ? say : say(data as Data), data as Data)
  return Object.assign(make, {
    kind,
    code,
    is: (error: unknown): error is Fault<Data> => error instanceof Fault && error.code === code,
  }) as FaultMaker<Data>
}

const aboutCredentials = new Set<string>()

/** Declares a denial whose remedy is another credential: nobody signed in, a token that is over or not ours (RFC 6750 §3.1). */
export function credentialFault(code: string, say: string): FaultMaker<undefined> {
  aboutCredentials.add(code)
  return fault('denied', code, say)
}

/** Whether another credential would help. */
export function isAboutCredential({ code }: Fault): boolean {
  return aboutCredentials.has(code)
}

/** Every declared code with its kind, for the published list of codes. */
export function faultCodes(): ReadonlyMap<string, FaultKind> {
  return codes
}

/** What a fault of this code says; for one that depends on its data, the function that says it. Undefined for an unknown code. */
export function faultSentence(code: string): string | ((data: never) => string) | undefined {
  return sentences.get(code)
}

// The faults that belong to no module.
export const notFound = fault('absent', 'NOT_FOUND', 'There is no such record, or it is not yours to see.')
export const forbidden = fault<{ permission: string }>('denied', 'FORBIDDEN', ({ permission }) => `This needs the permission ${permission}.`)
export const unauthenticated = credentialFault('UNAUTHENTICATED', 'Sign in first.')
export const invalidInput = fault<{ issues: readonly { path: string; message: string }[] }>(
  'invalid',
  'INVALID_INPUT',
  ({ issues }) => issues.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join('; '),
)
export const staleVersion = fault('conflict', 'STALE_VERSION', 'Somebody changed this record meanwhile. Read it again and repeat your change.')
export const tooMany = fault<{ retryAfterSeconds: number }>(
  'limited',
  'TOO_MANY_REQUESTS',
  ({ retryAfterSeconds }) => `Too many requests. Try again in ${retryAfterSeconds} seconds.`,
)
export const overloaded = fault('unavailable', 'OVERLOADED', 'The server is busy. Try again in a few seconds.')
export const timedOut = fault('unavailable', 'TIMED_OUT', 'The request took too long and was stopped. Ask for less or try again.')
