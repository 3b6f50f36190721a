/**
 * A filter's text (RFC 7644 §3.4.2.2, figure 1) as the plain text that the parser gets: attribute paths and literals are taken out and
 * numbered, so that escapes, signs and names reach us as they were written. Length, depth and count are bounded here, before anything
 * recursive runs. `path[filter].sub op value` becomes `path[(filter) and sub op value]`.
 */
import { invalidFilter } from '../schema/faults.ts'
import { storable } from '../schema/read-value.ts'

export const mostFilterLength = 8192
const mostDepth = 32
const mostComparisons = 128

export type Literal = string | number | boolean | null

export interface Prepared {
  /** Made of `a<n>`, `"<n>"`, operators, brackets and words of the grammar only. */
  readonly text: string
  readonly paths: readonly string[]
  readonly literals: readonly Literal[]
}

const comparisons: ReadonlySet<string> = new Set(['eq', 'ne', 'co', 'sw', 'ew', 'gt', 'ge', 'lt', 'le'])
const patterns = {
  blank: /[ \t]*/y,
  word: /[A-Za-z$][\w$.:-]*/y,
  text: /"(?:[^"\\]|\\.)*"/y,
  number: /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])/y,
} as const

const malformed = (detail: string) => invalidFilter({ detail })

function plainJson(json: string): string | number {
  try {
    return JSON.parse(json) as string | number
  } catch {
    throw malformed('A text of the filter is not written as JSON writes text.')
  }
}

/** Reads one filter from left to right; it never goes back. */
class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    if (found === undefined) return null
    this.#at += found.length
    return found
  }

  get ended(): boolean {
    this.#match(patterns.blank)
    return this.#at === this.#text.length
  }

  word(): string | null {
    this.#match(patterns.blank)
    return this.#match(patterns.word)
  }

  /** Takes `sign` when it comes next; without `apart`, blanks before it are passed over. */
  sign(sign: '(' | ')' | '[' | ']' | '.', apart = false): boolean {
    if (!apart) this.#match(patterns.blank)
    if (this.#text[this.#at] !== sign) return false
    this.#at++
    return true
  }

  /** compValue: false / null / true / number / string, as JSON writes them. */
  literal(): Literal {
    this.#match(patterns.blank)
    const json = this.#match(patterns.text) ?? this.#match(patterns.number)
    if (json !== null) {
      const value = plainJson(json)
      if (typeof value === 'string' && !storable(value)) throw malformed('A value of the filter holds characters that are not allowed.')
      return value
    }
    const word = this.word()?.toLowerCase()
    if (word === 'true' || word === 'false') return word === 'true'
    if (word === 'null') return null
    throw malformed('A comparison of the filter has no value: text in double quotes, a number, true, false or null.')
  }
}

/** @throws invalidFilter for what is too long, too deep, too much, or no filter. */
export function prepare(filter: string): Prepared {
  if (filter.length > mostFilterLength) throw malformed(`The filter is longer than ${mostFilterLength} characters.`)
  const reader = new Reader(filter)
  const paths: string[] = []
  const literals: Literal[] = []
  const open: ('(' | '[')[] = []
  let text = ''

  const deeper = (sign: '(' | '[') => {
    if (open.length >= mostDepth) throw malformed(`The filter nests deeper than ${mostDepth} levels.`)
    open.push(sign)
  }
  const putPath = (path: string) => {
    if (paths.length >= mostComparisons) throw malformed(`The filter has more than ${mostComparisons} comparisons.`)
    text += `a${paths.push(path) - 1} `
  }
  const putOperator = (word: string) => {
    const operator = word.toLowerCase()
    if (operator === 'pr') text += 'pr '
    else if (comparisons.has(operator)) text += `${operator} "${literals.push(reader.literal()) - 1}" `
    else throw malformed('The filter has an operator that is none of eq, ne, co, sw, ew, gt, ge, lt, le and pr.')
  }
  const operatorOf = () => reader.word() ?? ''

  /** One operand: brackets and `not` before it, a comparison, or a value path up to its opening bracket. Tells whether that is open. */
  const operand = (): boolean => {
    for (;;) {
      if (reader.sign('(')) {
        deeper('(')
        text += '('
        continue
      }
      const word = reader.word()
      if (word === null) throw malformed('The filter ends or breaks off where an attribute is expected.')
      if (word.toLowerCase() === 'not') {
        if (!reader.sign('(')) throw malformed('In a filter, not is followed by brackets.')
        deeper('(')
        text += 'not ('
        continue
      }
      putPath(word)
      if (reader.sign('[')) {
        if (open.includes('[')) throw malformed('A value filter holds another one.')
        deeper('[')
        text += '[('
        return true
      }
      putOperator(operatorOf())
      return false
    }
  }

  const closeAll = () => {
    for (;;) {
      if (open.at(-1) === '(' && reader.sign(')')) text += ') '
      else if (open.at(-1) === '[' && reader.sign(']')) {
        text += ')'
        if (reader.sign('.', true)) {
          text += ' and '
          putPath(reader.word() ?? '')
          putOperator(operatorOf())
        }
        text += '] '
      } else return
      open.pop()
    }
  }

  for (;;) {
    while (operand());
    closeAll()
    if (reader.ended) break
    const word = reader.word()?.toLowerCase()
    if (word !== 'and' && word !== 'or') throw malformed('After a comparison, a filter goes on with and, or, or a closing bracket.')
    text += `${word} `
  }
  if (open.length > 0) throw malformed('A bracket of the filter is not closed.')
  return { text, paths, literals }
}
