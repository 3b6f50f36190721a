/** Global ids: type and id only, opaque, without a tenant; answered without a promise a node. */
import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core'
import { isUuid } from '../../kernel/id.ts'

declare global {
  export namespace PothosSchemaTypes {
    export interface Plugins<Types extends SchemaTypes> {
      globalId: GlobalIdPlugin<Types>
    }
  }
}

export function encodeGlobalId(typename: string, id: string | number | bigint): string {
  return Buffer.from(`${typename}:${id}`).toString('base64url')
}

/** Type and id behind a global id; a malformed one names no type, so it finds nothing. */
export function decodeGlobalId(globalId: string): { typename: string; id: string } {
  const [typename, id, ...rest] = globalId.length > 256 ? [] : Buffer.from(globalId, 'base64url').toString().split(':')
  if (!typename || !id || rest.length > 0 || !/^[A-Za-z]+$/.test(typename) || !isUuid(id)) return { typename: 'Nothing', id: '' }
  return { typename, id }
}

/** relay's own `id` resolver is asynchronous; ours is not. */
export class GlobalIdPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override onOutputFieldConfig(config: PothosOutputFieldConfig<Types>): PothosOutputFieldConfig<Types> {
    const owner = this.buildCache.getTypeConfig(config.parentType)
    if (config.name !== 'id' || !owner.extensions?.['pothosPrismaModel']) return config
    return { ...config, resolve: ((row: { id: string }) => encodeGlobalId(owner.name, row.id)) as never }
  }
}
SchemaBuilder.registerPlugin('globalId' as never, GlobalIdPlugin as never)
