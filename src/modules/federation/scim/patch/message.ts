/**
 * A PatchOp message (RFC 7644 §3.5.2) as a list of operations with a path each. An operation without a path is taken apart into one for
 * every attribute its value names: plain, dotted, under a URN or with a value filter, as directories write them.
 */
import { invalidPath, invalidSyntax, invalidValue, noTarget } from '../schema/faults.ts'
import { isMap } from '../schema/read-value.ts'

const patchUrn = 'urn:ietf:params:scim:api:messages:2.0:PatchOp'
const mostOperations = 1000

export interface Operation {
  readonly op: 'add' | 'replace' | 'remove'
  readonly path: string
  /** Undefined: not given. */
  readonly value: unknown
  /** Came from a value without a path: what is unknown or read-only there is passed over, as in a whole resource. */
  readonly unnamed: boolean
  /**
   * A filter that matches nothing makes the value it describes, for `replace` too. One directory's dialect means that, and tells itself
   * by its capital letter (`Replace`); by RFC 7644 §3.5.2.3 such a replace has no target.
   */
  readonly creates: boolean
}

/** The value of a member whatever the case of its name. @throws invalidSyntax when two spellings are there. */
function membersOf(map: Readonly<Record<string, unknown>>, names: readonly string[]): readonly unknown[] {
  const found = new Map<string, unknown>()
  for (const [name, value] of Object.entries(map)) {
    const lower = name.toLowerCase()
    if (!names.includes(lower)) continue
    if (found.has(lower)) throw invalidSyntax({ detail: `${lower} is given twice.` })
    found.set(lower, value)
  }
  return names.map((name) => found.get(name))
}

function opOf(given: unknown): Pick<Operation, 'op' | 'creates'> {
  const word = typeof given === 'string' ? given : ''
  const op = word.toLowerCase()
  if (op !== 'add' && op !== 'replace' && op !== 'remove') throw invalidSyntax({ detail: 'op must be add, replace or remove.' })
  return { op, creates: op === 'add' || (op === 'replace' && word === 'Replace') }
}

/** How the name of an attribute begins (RFC 7643 §2.1); `__proto__` is none. */
const attributeName = /^[A-Za-z$]/

/** One operation for every attribute of an object, with `prefix` before its name. */
export function apart(kind: Pick<Operation, 'op' | 'creates'>, value: unknown, prefix = ''): Operation[] {
  if (!isMap(value))
    throw invalidValue({ detail: 'An operation on a whole resource or extension has an object of attributes as its value.' })
  return Object.entries(value).map(([name, one]) => {
    if (!attributeName.test(name)) throw invalidPath({ detail: 'The value of an operation names what can be no attribute.' })
    return { op: kind.op, creates: kind.creates, path: `${prefix}${name}`, value: one, unnamed: true }
  })
}

function operationsOf(given: unknown): Operation[] {
  if (!isMap(given)) throw invalidSyntax({ detail: 'An operation must be an object.' })
  const [op, path, value] = membersOf(given, ['op', 'path', 'value'])
  const kind = opOf(op)
  if (path !== undefined && path !== null && typeof path !== 'string') throw invalidPath({ detail: 'path must be text.' })
  if (kind.op !== 'remove' && value === undefined) throw invalidValue({ detail: `${kind.op} needs a value.` })
  if (typeof path === 'string' && path.trim() !== '') return [{ ...kind, path: path.trim(), value, unnamed: false }]
  if (kind.op === 'remove') throw noTarget({ detail: 'remove needs a path.' })
  return apart(kind, value)
}

/** @throws invalidSyntax, invalidPath, invalidValue, noTarget. */
export function readOperations(body: unknown): readonly Operation[] {
  if (!isMap(body)) throw invalidSyntax({ detail: 'The body must be a JSON object.' })
  const [schemas, operations] = membersOf(body, ['schemas', 'operations'])
  const isPatch = Array.isArray(schemas) && schemas.some((one) => typeof one === 'string' && one.toLowerCase() === patchUrn.toLowerCase())
  if (!isPatch) throw invalidSyntax({ detail: `schemas must be a list with ${patchUrn}.` })
  if (!Array.isArray(operations) || operations.length === 0) throw invalidSyntax({ detail: 'Operations must be a list of at least one.' })
  if (operations.length > mostOperations) throw invalidValue({ detail: `More than ${mostOperations} operations in one message.` })
  return operations.flatMap(operationsOf)
}
