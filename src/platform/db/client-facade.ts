/**
 * The generated client as a unit of work shows it: one permanent object, whose every call goes to the transaction that is open at that
 * moment. Raw SQL, and one row by its key, go there at once; anything else begins the client's own transaction first.
 */
import { Prisma } from './generated/client.ts'
import type { OneRow, OneRows } from './one-row.ts'
import { wireValue } from './sql-values.ts'
import type { Tx, Work } from './work.ts'

export interface FacadeParts {
  /** @throws when no unit of work is open. */
  readonly work: () => Work
  /** A client that is never asked: it says which models there are. */
  readonly known: object
  readonly oneRows: OneRows
}

type Call = (args?: unknown) => Promise<unknown>
type Delegate = Readonly<Record<string, Call>>
type Raw = readonly string[] | Prisma.Sql

interface Lookup {
  readonly args: unknown
  resolve(value: unknown): void
  reject(error: unknown): void
}

const modelOf = (key: string): string => key.charAt(0).toUpperCase() + key.slice(1)

/** A statement as it was written in a template, parts of statements in it included, or made of such parts. */
export function sqlStatement(first: Raw, values: readonly unknown[]): { readonly text: string; readonly values: readonly unknown[] } {
  const { text, values: sent } = Array.isArray(first) ? Prisma.sql(first, ...values) : (first as Prisma.Sql)
  return { text, values: sent.map(wireValue) }
}

/** The client's own interface over `parts`. Asking it for a model throws when no unit of work is open. */
export function clientFacade(parts: FacadeParts): Tx {
  const delegates = new Map<string, Delegate>()
  const raw: Readonly<Record<string, (first: never, ...values: unknown[]) => Promise<unknown>>> = {
    async $queryRaw(first: Raw, ...values) {
      const { text, values: sent } = sqlStatement(first, values)
      return parts.work().rows(text, sent)
    },
    async $executeRaw(first: Raw, ...values) {
      const { text, values: sent } = sqlStatement(first, values)
      return parts.work().change(text, sent)
    },
    $queryRawUnsafe: async (text: string, ...values) => parts.work().rows(text, values),
    $executeRawUnsafe: async (text: string, ...values) => parts.work().change(text, values),
  }
  return new Proxy({} as Tx, {
    get(_, key) {
      if (typeof key !== 'string') return undefined
      const work = parts.work()
      if (raw[key]) return raw[key]
      if (key.startsWith('$') || !(key in parts.known)) return work.tx ? Reflect.get(work.tx, key) : undefined
      let delegate = delegates.get(key)
      if (!delegate) delegates.set(key, (delegate = delegateFor(key, parts)))
      return delegate
    },
    has: (_, key) => key in parts.known,
  })
}

function delegateFor(key: string, { work, oneRows }: FacadeParts): Delegate {
  const model = modelOf(key)
  const ask = async (method: string, args: unknown): Promise<unknown> => {
    const open = work()
    const tx = open.tx ?? (await open.open())
    return (Reflect.get(tx, key) as Delegate)[method]!(args)
  }

  const rowOf = async ({ text, values }: OneRow): Promise<unknown> => (await work().rows(text, values))[0] ?? null

  let waiting: Lookup[] = []
  const lookUp = (): void => {
    const lookups = waiting
    waiting = []
    const [only] = lookups
    const one = lookups.length === 1 ? oneRows.of(model, only!.args) : null
    // Look-ups of one moment are the client's: it makes one statement of them.
    if (one) rowOf(one).then(only!.resolve, only!.reject)
    else for (const { args, resolve, reject } of lookups) ask('findUnique', args).then(resolve, reject)
  }
  const findUnique: Call = (args) =>
    new Promise((resolve, reject) => {
      work()
      if (waiting.length === 0) process.nextTick(lookUp)
      waiting.push({ args, resolve, reject })
    })

  const calls: Record<string, Call> = {
    findUnique,
    // The client's own error, where there is no such row.
    findUniqueOrThrow: async (args) => (oneRows.of(model, args) && (await findUnique(args))) ?? ask('findUniqueOrThrow', args),
  }
  return new Proxy(calls, {
    get: (own, method: string) => own[method] ?? (own[method] = (args) => ask(method, args)),
  })
}
