/** A PatchOp message as steps, each about one attribute: whole resources and extensions are taken apart until only those are left. */
import type { ResourceName } from '../engine.ts'
import { immutable, invalidPath, invalidValue } from '../schema/faults.ts'
import { apart, readOperations, type Operation } from './message.ts'
import { readPath, type Place } from './path.ts'

const mostSteps = 10_000

export interface Step {
  readonly place: Place
  readonly operation: Operation
}

function stepsFor(resource: ResourceName, operation: Operation): Step[] {
  const { op, value } = operation
  const pointed = readPath(resource, operation.path)
  if (!pointed) {
    // Unknown names in a value are passed over, as in a whole resource (RFC 7644 §3.3).
    if (operation.unnamed) return []
    throw invalidPath({ detail: `The path names an attribute that a ${resource} does not have.` })
  }
  if (pointed.at === 'attribute') return [{ place: pointed.place, operation }]
  if (pointed.at === 'resource') {
    if (op === 'remove') throw immutable({ detail: 'A resource is deleted by DELETE.' })
    return apart(operation, value).flatMap((one) => stepsFor(resource, one))
  }
  const { extension } = pointed
  if (op === 'remove' || value === null) {
    return extension.attributes.map((attribute) => ({
      place: { extension, attribute, sub: null, filter: null },
      operation: { ...operation, op: 'remove', value: undefined },
    }))
  }
  return apart(operation, value, `${extension.urn}:`).flatMap((one) => stepsFor(resource, one))
}

/** @throws invalidSyntax, invalidPath for a path to nothing, invalidFilter for a filter in it, invalidValue, noTarget. */
export function readSteps(resource: ResourceName, body: unknown): readonly Step[] {
  const steps = readOperations(body).flatMap((operation) => stepsFor(resource, operation))
  if (steps.length > mostSteps) throw invalidValue({ detail: `More than ${mostSteps} changes in one message.` })
  return steps
}
