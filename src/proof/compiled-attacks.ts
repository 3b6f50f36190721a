/** The compiled form of an attacked query: what of it has a plan, executed with the settings that the caller's session would have. */
import { getVariableValues, isObjectType, Kind, TypeInfo, visit, visitWithTypeInfo, getNamedType, type DocumentNode, type GraphQLSchema } from 'graphql'
import { Fault } from '../kernel/fault.ts'
import type { Caller } from '../kernel/scope.ts'
import { isDoubtful } from '../platform/graphql/compiled/json-text.ts'
import { markOf } from '../platform/graphql/compiled/marks.ts'
import { planOf } from '../platform/graphql/compiled/plan.ts'
import { exposedBy, modelOf, relationBy } from '../platform/graphql/compiled/schema-facts.ts'
import { fillPlaces } from '../platform/graphql/compiled/sealed-places.ts'
import { valuesOf } from '../platform/graphql/compiled/slots.ts'
import type { Tables } from '../platform/graphql/compiled/tables.ts'
import { createContext } from '../platform/graphql/context.ts'
import type { Unit } from '../platform/db/unit.ts'

/** The document without the fields that have no plan; null where nothing is left. */
export function plannable(document: DocumentNode, schema: GraphQLSchema): DocumentNode | null {
  const types = new TypeInfo(schema)
  const cut = visit(document, visitWithTypeInfo(types, {
    Field: {
      leave(node) {
        const [parent, field] = [types.getParentType(), types.getFieldDef()]
        if (!field || !isObjectType(parent) || node.name.value === '__typename') return undefined
        if (node.selectionSet?.selections.length === 0) return null
        const isFrame = modelOf(parent) === undefined && field.extensions['access'] === undefined
        const isPlain = exposedBy(field) !== undefined || relationBy(field) !== undefined || markOf(field) !== undefined
        if (isFrame || isPlain || (node.name.value === 'id' && modelOf(parent) !== undefined)) return undefined
        return null
      },
    },
    InlineFragment: {
      leave: (node) => (isObjectType(getNamedType(types.getType())) ? undefined : node.selectionSet.selections.length === 0 ? null : undefined),
    },
  })) as DocumentNode
  const [operation] = cut.definitions
  return operation?.kind === Kind.OPERATION_DEFINITION && operation.selectionSet.selections.length > 0 ? cut : null
}

/** What the compiled form answers; null where there is none, or where it leaves the answer to the ordinary path. */
export async function runCompiled(of: {
  readonly document: DocumentNode
  readonly schema: GraphQLSchema
  readonly tables: Tables
  readonly variables: Record<string, unknown>
  readonly caller: Caller
  readonly unit: Unit
}): Promise<string | null> {
  const document = plannable(of.document, of.schema)
  const plan = document && planOf(document, of.schema, of.tables)
  if (!plan || [...plan.permissions].some((permission) => !of.caller.permissions.has(permission))) return null
  const { coerced } = getVariableValues(of.schema, plan.operation.variableDefinitions ?? [], of.variables)
  const values = coerced && valuesOf(plan.slots, coerced)
  if (!values) return null
  const { unit, caller } = of
  const context = createContext({ unit, plane: caller.plane!, locale: 'en', answer: { setCookie() {} } })
  return unit.read(async () => {
    const rows = await unit.db.$queryRawUnsafe<Record<string, string>[]>(plan.text, caller.tenantId, ...values)
    const [text] = Object.values(rows[0] ?? {})
    if (text === undefined || isDoubtful(text)) return null
    // A text that does not open leaves the whole answer to the ordinary path.
    return fillPlaces(text, plan.sealed, context).catch((error: unknown) => {
      if (error instanceof Fault) return null
      throw error
    })
  })
}
