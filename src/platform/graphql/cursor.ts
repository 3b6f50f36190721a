/**
 * Cursors leave the house as an opaque id and come back under the caller's own tenant. plugin-prisma's own would hold the
 * composite key, tenant included; and a page is at most 100 rows, whatever was asked.
 */
import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core'
import { formatPrismaCursor, parsePrismaCursor } from '@pothos/plugin-prisma'
import type { GraphQLFieldResolver } from 'graphql'
import { fault } from '../../kernel/fault.ts'
import type { Context } from './context.ts'
import { maxPage } from './cost.ts'

declare global {
  export namespace PothosSchemaTypes {
    export interface Plugins<Types extends SchemaTypes> {
      cursor: CursorPlugin<Types>
    }
  }
}

export const badCursor = fault('invalid', 'BAD_CURSOR', 'This cursor is not one that the server gave out for this list.')

/** A composite-key cursor as the outside sees it: the row's id, 22 characters. */
export function outwardCursor(cursor: string): string {
  const [, id] = parsePrismaCursor(cursor) as [string, string]
  return Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url')
}

/** The composite key that an outside cursor means for this tenant. */
export function inwardCursor(cursor: string, tenantId: string): string {
  const hex = Buffer.from(cursor, 'base64url').toString('hex')
  if (hex.length !== 32 || Buffer.from(hex, 'hex').toString('base64url') !== cursor) throw badCursor()
  const id = hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5')
  return formatPrismaCursor({ tenantId, id }, ['tenantId', 'id'])
}

interface Connection {
  readonly edges: ({ cursor: string } | null)[]
  readonly pageInfo: { startCursor: string | null; endCursor: string | null }
}

export class CursorPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  #isConnection(config: PothosOutputFieldConfig<Types>): boolean {
    return 'after' in config.args && 'before' in config.args && 'first' in config.args
  }

  override onOutputFieldConfig(config: PothosOutputFieldConfig<Types>): PothosOutputFieldConfig<Types> {
    if (!this.#isConnection(config)) return config
    const inward = (args: Record<string, unknown>, context: Context) => {
      const mapped = { ...args }
      for (const name of ['after', 'before']) {
        const cursor = args[name]
        if (typeof cursor === 'string') mapped[name] = inwardCursor(cursor, context.caller.tenantId)
      }
      for (const name of ['first', 'last']) {
        const size = args[name]
        if (typeof size === 'number') mapped[name] = Math.max(0, Math.min(size, maxPage))
      }
      return mapped
    }
    return { ...config, argMappers: [...config.argMappers, inward as never] }
  }

  override wrapResolve(resolve: GraphQLFieldResolver<unknown, Types['Context'], object>, config: PothosOutputFieldConfig<Types>) {
    if (!this.#isConnection(config)) return resolve
    return async (...call: Parameters<typeof resolve>) => {
      const connection = (await resolve(...call)) as Connection | null
      if (!connection) return connection
      for (const edge of connection.edges) if (edge) edge.cursor = outwardCursor(edge.cursor)
      const { pageInfo } = connection
      if (pageInfo.startCursor) pageInfo.startCursor = outwardCursor(pageInfo.startCursor)
      if (pageInfo.endCursor) pageInfo.endCursor = outwardCursor(pageInfo.endCursor)
      return connection
    }
  }
}
SchemaBuilder.registerPlugin('cursor' as never, CursorPlugin as never)
