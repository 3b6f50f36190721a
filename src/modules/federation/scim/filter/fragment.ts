/** SQL with its values apart: text comes from this source alone, whatever a client sent is a value. Fragments nest. */
import type { Fragment } from '../engine.ts'

type Part = string | number | boolean | Fragment

/** Builds a fragment: a value between the text becomes a parameter, a fragment is taken in with its own. */
export function sql(text: TemplateStringsArray, ...parts: readonly Part[]): Fragment {
  const strings = [text[0]!]
  const values: (string | number | boolean)[] = []
  const add = (more: string) => void (strings[strings.length - 1] += more)
  parts.forEach((part, at) => {
    if (typeof part === 'object') {
      part.strings.forEach((string, index) => {
        if (index === 0) add(string)
        else strings.push(string)
      })
      values.push(...part.values)
    } else {
      values.push(part)
      strings.push('')
    }
    add(text[at + 1]!)
  })
  return { strings, values }
}

/** `parts` with `word` between them, in brackets. Needs at least one. */
export function joined(parts: readonly Fragment[], word: 'and' | 'or'): Fragment {
  const [first, ...rest] = parts
  const body = rest.reduce((sum, part) => (word === 'and' ? sql`${sum} and ${part}` : sql`${sum} or ${part}`), first!)
  return sql`(${body})`
}
