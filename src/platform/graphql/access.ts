/**
 * One access mark a field. It decides who may ask for the field, in which planes the field exists at all, and a field
 * without one stops the server from starting.
 */
import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core'
import { isInterfaceType, isObjectType, type GraphQLSchema } from 'graphql'
import { planes, type Plane } from '../../kernel/scope.ts'

/** `structural`: made by a plugin, its data was authorised by the field that led to it. */
export type Access = 'public' | 'authenticated' | 'structural' | { readonly permission: string }

declare global {
  export namespace PothosSchemaTypes {
    export interface Plugins<Types extends SchemaTypes> {
      access: AccessPlugin<Types>
    }
    export interface SchemaBuilderOptions<Types extends SchemaTypes> {
      /** The planes whose roles hold a permission; throws for an unknown one. */
      planesOf: (permission: string) => readonly Plane[]
    }
    export interface FieldOptions {
      access?: Access
    }
    export interface ObjectTypeOptions {
      fieldAccess?: Access
    }
    export interface InterfaceTypeOptions {
      fieldAccess?: Access
    }
  }
}

interface MarkedOptions {
  access?: Access
  fieldAccess?: Access
  subGraphs?: readonly Plane[]
}

export class AccessPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override onOutputFieldConfig(config: PothosOutputFieldConfig<Types>): PothosOutputFieldConfig<Types> {
    // An inherited field (node types implement Node) carries the mark of the type that declares it.
    const declaring = (config as { declaringType?: string }).declaringType ?? config.parentType
    const owner = this.buildCache.getTypeConfig(declaring).pothosOptions as MarkedOptions
    const own = config.pothosOptions as MarkedOptions
    const access = own.access ?? owner.fieldAccess
    if (!access) return config
    const reach = typeof access === 'object' ? this.builder.options.planesOf(access.permission) : planes
    // `subGraphs` may narrow what the mark opens, never widen it.
    const subGraphs = (own.subGraphs ?? owner.subGraphs ?? reach).filter((plane) => reach.includes(plane))
    const authScopes =
      access === 'authenticated' ? { authenticated: true } : typeof access === 'object' ? { permission: access.permission } : undefined
    return {
      ...config,
      extensions: { ...config.extensions, access },
      pothosOptions: { ...config.pothosOptions, subGraphs, ...(authScopes ? { authScopes } : {}) },
    } as PothosOutputFieldConfig<Types>
  }
}
SchemaBuilder.registerPlugin('access' as never, AccessPlugin as never)

/** Types that plugins generate around an authorised field. */
const generated = (typeName: string): boolean => typeName === 'PageInfo' || /(Connection|Edge)$/.test(typeName)

/** `Type.field` of every field without a mark; must be empty. */
export function unmarkedFields(schema: GraphQLSchema): string[] {
  const unmarked: string[] = []
  for (const type of Object.values(schema.getTypeMap())) {
    if (type.name.startsWith('__') || generated(type.name)) continue
    if (!isObjectType(type) && !isInterfaceType(type)) continue
    for (const field of Object.values(type.getFields())) {
      if (!field.extensions['access']) unmarked.push(`${type.name}.${field.name}`)
    }
  }
  return unmarked
}

/** The permissions that guard at least one field. */
export function guardingPermissions(schema: GraphQLSchema): Set<string> {
  const found = new Set<string>()
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) && !isInterfaceType(type)) continue
    for (const field of Object.values(type.getFields())) {
      const access = field.extensions['access'] as Access | undefined
      if (typeof access === 'object') found.add(access.permission)
    }
  }
  return found
}
