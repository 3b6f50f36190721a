/**
 * Contracts: a table of methods, each with the zod shape of its input and output, so that input is checked at the one door
 * whoever knocks, and the same table can be carried over a wire.
 */
import { z } from 'zod'
import { invalidInput } from '../kernel/fault.ts'
import type { Scope } from '../kernel/scope.ts'

export interface MethodShape {
  readonly input: z.ZodType
  readonly output: z.ZodType
}

export type Methods = Readonly<Record<string, MethodShape>>

/** What callers hold: every method is `(scope, input) => Promise<output>`, and both survive JSON. */
export type ContractOf<Table extends Methods> = {
  readonly [Name in keyof Table]: (scope: Scope, input: z.input<Table[Name]['input']>) => Promise<z.output<Table[Name]['output']>>
}

/** What a service implements: the same methods over checked input. */
export type ServiceOf<Table extends Methods> = {
  readonly [Name in keyof Table]: (scope: Scope, input: z.output<Table[Name]['input']>) => Promise<z.output<Table[Name]['output']>>
}

/** A contract whose inputs are parsed before the service sees them. A malformed one is INVALID_INPUT with its paths. */
export function checked<Table extends Methods>(methods: Table, service: ServiceOf<Table>): ContractOf<Table> {
  const contract: Record<string, unknown> = {}
  for (const name of Object.keys(methods)) {
    contract[name] = async (scope: Scope, input: unknown) => service[name as keyof Table](scope, parseInput(methods[name]!.input, input) as never)
  }
  return Object.freeze(contract) as ContractOf<Table>
}

/** Parses what came from outside. @throws INVALID_INPUT with one issue a wrong place, never the value. */
export function parseInput<Shape extends z.ZodType>(shape: Shape, input: unknown): z.output<Shape> {
  const parsed = shape.safeParse(input)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.slice(0, 20).map((issue) => ({ path: issue.path.join('.'), message: issue.message }))
  throw invalidInput({ issues })
}

const hidden = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}]/u
// Joiners shape Arabic letters and emoji; the bidi marks below are balanced by whoever shows the text, never stored.
const joiners = /[\u200c\u200d]/gu

/**
 * One line of human text: trimmed, NFC, 1 to `most` characters. Control characters, NUL, bidi overrides and unpaired surrogates
 * are refused: they hide or forge what a reader sees.
 */
export const line = (most: number) =>
  z
    .string()
    .max(most * 4, `at most ${most} characters`)
    .transform((text) => text.normalize('NFC').trim())
    .refine((text) => text.length > 0, 'must not be empty')
    .refine((text) => [...text].length <= most, `at most ${most} characters`)
    .refine((text) => !hidden.test(text.replace(joiners, '')), 'must not hold control or invisible formatting characters')

export const uuid = z.uuid('is not an id')
