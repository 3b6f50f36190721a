/** Bodies as JSON. Depth is counted on the text, before anything recursive sees it. */
import type { ReadJson } from '../engine.ts'
import { invalidSyntax } from './faults.ts'

/** No message of RFC 7644 nests deeper than eight levels. */
const mostLevels = 32

/** Whether it has more opening brackets than this, wherever they stand: what has no more cannot nest deeper. */
function opensMore(text: string, than: number): boolean {
  let left = than
  for (const sign of '{[') {
    for (let at = text.indexOf(sign); at >= 0; at = text.indexOf(sign, at + 1)) if (--left < 0) return true
  }
  return false
}

function levelsOf(text: string): number {
  let level = 0
  let most = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const sign = text[at]
    if (quoted) {
      if (sign === '\\') at++
      else if (sign === '"') quoted = false
    } else if (sign === '"') quoted = true
    else if (sign === '{' || sign === '[') most = Math.max(most, ++level)
    else if (sign === '}' || sign === ']') level--
  }
  return most
}

/** @throws invalidSyntax for what is no JSON, or nests deeper than 32 levels. */
export const readJson: ReadJson = (text) => {
  if (opensMore(text, mostLevels) && levelsOf(text) > mostLevels) throw invalidSyntax({ detail: `The body nests deeper than ${mostLevels} levels.` })
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw invalidSyntax({ detail: 'The body is not JSON.' })
  }
}
