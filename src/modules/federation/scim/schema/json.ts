/** Bodies as JSON. Depth is counted on the text, before anything recursive sees it. */
import type { ReadJson } from '../engine.ts'
import { invalidSyntax } from './faults.ts'

/** No message of RFC 7644 nests deeper than eight levels. */
const mostLevels = 32

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
  if (levelsOf(text) > mostLevels) throw invalidSyntax({ detail: `The body nests deeper than ${mostLevels} levels.` })
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw invalidSyntax({ detail: 'The body is not JSON.' })
  }
}
