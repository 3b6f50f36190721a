/** Builds a guard that keeps the given laws. The product has exactly one, in guard.ts; tests build others. */
import { verifyLogoutRequest, verifyLogoutResponse } from './logout/verify.ts'
import { Refusal, type Laws } from './laws.ts'
import { parseMetadata, readMetadata } from './metadata/read.ts'
import { samlp } from './names.ts'
import { peekResponse, verifyResponse } from './response/verify.ts'
import { demandShape, type Shape } from './shape/shape.ts'
import { logoutRequest, logoutResponse, response } from './shape/message-shapes.ts'
import type { SamlGuard } from './verdict.ts'
import { decodeText } from './xml/decode.ts'
import { messageLimits } from './xml/limits.ts'
import { parseXml } from './xml/parse.ts'
import { isNamed } from './xml/tree.ts'

const shapes: ReadonlyMap<string, Shape> = new Map([
  ['Response', response],
  ['LogoutRequest', logoutRequest],
  ['LogoutResponse', logoutResponse],
])

export function buildGuard(laws: Laws): SamlGuard {
  return {
    verifyResponse: (input) => verifyResponse(input, laws),
    peekResponse: (samlResponse) => peekResponse(samlResponse, laws),
    verifyLogoutRequest: (input) => verifyLogoutRequest(input, laws),
    verifyLogoutResponse: (input) => verifyLogoutResponse(input, laws),
    readMetadata: (input) => readMetadata(input, laws),
    validate: async (xml) => validate(xml, laws),
  }
}

/** What samlify asks of a validator: whether a text is what it should be by its form alone. */
function validate(xml: string, laws: Laws): string {
  const bytes = Buffer.from(xml)
  if (/<(?:[\w.-]+:)?Entit(?:y|ies)Descriptor[\s>]/.test(xml.slice(0, 4096))) {
    parseMetadata(bytes, laws)
    return 'metadata'
  }
  const text = decodeText(bytes, messageLimits.bytes, 'refused', laws)
  const root = parseXml(text, { limits: messageLimits, comments: 'refused', scope: new Map() }, laws)
  const of = shapes.get(root.local)
  if (of === undefined || !isNamed(root, samlp, root.local)) throw new Refusal('WRONG_ROOT', `the root is ${root.local.slice(0, 80)}`)
  demandShape(root, of, laws)
  return root.local
}
