/** One guarded operation: how each role calls it within its reach and beyond. A judge that is given nothing to judge fails. */
import { expect } from 'vitest'
import type { Plane } from '../../src/kernel/scope.ts'
import { scopeOf, type Permission, type Reach, type Role } from '../../src/modules/access/contract.ts'
import type { RootKind } from '../../src/proof/graph-shape.ts'
import type { Answer, Capability, Payload, Person, Variables, World } from './world.ts'

type Maybe<T> = T | Promise<T>

export interface Operation {
  readonly kind: RootKind
  /** The root field. */
  readonly field: string
  readonly document: string
  /** The only plane that has it, where a permission reaches differently there; its other operations are absent from that plane. */
  readonly only?: Plane
  /** Where the guarded field lies below the root field: the permission of the root field, which a role may lack too. */
  readonly below?: Permission
  /** Names a record that the role reaches; made for this call where the call uses it up. */
  inside(world: World, role: Role): Maybe<Variables>
  /** Records that the role does not reach, by what they are. */
  outside?(world: World, role: Role): Maybe<Readonly<Record<string, Variables>>>
  /** A record of the role's network, by a link that carries everything but what this takes; and the code it gets. */
  readonly lacking?: { readonly code: string; variables(world: World, role: Role): Maybe<Variables> }
  /**
   * Where a success takes what no test plants here (two administrators who signed in elsewhere, a key at a KMS): the code of the refusal
   * that shows the caller past the guard, and the test that has the success.
   */
  readonly beyondGuard?: { readonly code: string; readonly provenBy: { readonly file: string; readonly test: string } }
  /** Looks closer at a success: what lists hold and do not hold, and whose the new record is. */
  check?(world: World, role: Role, payload: Payload): Maybe<void>
}

type Call = Pick<Operation, 'kind' | 'field' | 'document'>

export type Operations = Readonly<Partial<Record<Permission, readonly Operation[]>>>

export const reachIn = (role: Role, permission: Permission): Reach => {
  const letter = scopeOf(role, permission)
  if (letter === null) throw new Error(`${role} does not hold ${permission}.`)
  return letter
}

/** An operation on one recipient: T is tried on one whom no scoped member reaches, everybody else with just the capability it takes. */
export function onRecipient(
  permission: Permission,
  capability: Capability,
  operation: Call & Pick<Operation, 'below' | 'check'> & {
    readonly lackingCode?: string
    variables(world: World, person: Person, role: Role): Maybe<Variables>
  },
): Operation {
  const { variables, lackingCode = 'CAPABILITY_MISSING', ...rest } = operation
  return {
    ...rest,
    inside: (world, role) => variables(world, reachIn(role, permission) === 'T' ? world.stranger : world.within[capability], role),
    async outside(world, role) {
      const elsewhere = { 'a recipient of another tenant': await variables(world, world.foreign, role) }
      if (reachIn(role, permission) === 'T') return elsewhere
      return { ...elsewhere, 'a recipient outside the network': await variables(world, world.stranger, role) }
    },
    ...(capability === 'VIEW'
      ? {}
      : {
          lacking: {
            code: lackingCode,
            variables: (world, role) => variables(world, world.lacking[capability], role),
          },
        }),
  }
}

/** A mutation's document. `input`: its input type, or its variables as written. `result`: what a success selects. */
export function mutation(field: string, input: string, result: string): Call {
  const named = input.startsWith('$') ? input : `$input: ${input}!`
  const passed = [...named.matchAll(/\$(\w+)/g)].map(([variable, name]) => `${name}: ${variable}`).join(', ')
  const document = `mutation (${named}) { ${field}(${passed}) { __typename ... on ${result} ... on Fault { code } } }`
  return { kind: 'mutation', field, document }
}

export const query = (field: string, document: string): Call => ({ kind: 'query', field, document })

export const subscription = (field: string, document: string): Call => ({ kind: 'subscription', field, document })

/** Every code of an answer: of its errors, and of a mutation's typed failure. */
export function codesOf(answer: Answer, field: string): readonly string[] {
  const typed = answer.data?.[field]?.code
  return [...answer.errors.map(({ extensions }) => String(extensions?.code)), ...(typed === undefined ? [] : [typed])]
}

export const nodeIds = (payload: Payload): readonly string[] => payload.edges!.map(({ node }) => node.id)

/** A list that holds these and not those. */
export function expectList(listed: readonly string[], holds: readonly string[], lacks: readonly string[]): void {
  expect(listed).toEqual(expect.arrayContaining([...holds]))
  expect(lacks.filter((id) => listed.includes(id))).toEqual([])
}
