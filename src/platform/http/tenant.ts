/** Which tenant a request is at the door of, before anybody has signed in: by host, else by header. */
import type { IncomingMessage } from 'node:http'
import { LRUCache } from 'lru-cache'
import { fault } from '../../kernel/fault.ts'
import type { Gate, TenantGlance } from '../db/gate.ts'
import type { Client } from './address.ts'

export const unknownTenant = fault(
  'absent',
  'UNKNOWN_TENANT',
  'No tenant is at this address. Use <tenant>.localhost, the tenant\'s own domain, or the header x-maristan-tenant.',
)
export const tenantSuspended = fault('denied', 'TENANT_SUSPENDED', 'This organisation\'s access is suspended. Its administrator can tell why.')
export const wrongHost = fault('denied', 'WRONG_HOST', 'This sign-in belongs to another organisation than this address.')

export const tenantHeader = 'x-maristan-tenant'
const slugForm = /^[a-z][a-z0-9-]{1,38}[a-z0-9]$/

export interface TenantDoor {
  /** The tenant that host or header name; null when they name none. @throws UNKNOWN_TENANT, WRONG_HOST when they disagree. */
  named(request: IncomingMessage, client: Client): Promise<TenantGlance | null>
  /** The tenant of this name, wherever it came from. @throws UNKNOWN_TENANT, TENANT_SUSPENDED */
  bySlug(slug: string): Promise<TenantGlance>
  /** The tenant that a token names. @throws UNKNOWN_TENANT */
  byId(tenantId: string): Promise<TenantGlance>
}

/**
 * `baseHosts`: a host one label below one of these is a tenant's slug. What was found is remembered for `ttlMs`, at most 10,000
 * tenants, so that a suspension is in force everywhere after that time at the latest.
 */
export function createTenantDoor(gate: Gate, baseHosts: readonly string[], ttlMs = 2_000): TenantDoor {
  const found = new LRUCache<string, { glance: TenantGlance | null }>({ max: 10_000, ttl: ttlMs })

  const remember = async (key: string, find: () => Promise<TenantGlance | null>): Promise<TenantGlance> => {
    let entry = found.get(key)
    if (!entry) {
      entry = { glance: await find() }
      found.set(key, entry)
    }
    if (!entry.glance || entry.glance.status === 'LEFT') throw unknownTenant()
    if (entry.glance.status === 'SUSPENDED') throw tenantSuspended()
    return entry.glance
  }
  const bySlug = async (slug: string): Promise<TenantGlance> => {
    if (!slugForm.test(slug)) throw unknownTenant()
    return remember(`slug ${slug}`, () => gate.tenantBySlug(slug))
  }
  const slugOf = (host: string): string | null => {
    const base = baseHosts.find((one) => host.endsWith(`.${one}`))
    return base ? host.slice(0, -base.length - 1) : null
  }

  return {
    async named(request, client) {
      const byHost = slugOf(client.host)
      const header = request.headers[tenantHeader]
      if (byHost !== null && header !== undefined && header !== byHost) throw wrongHost()
      if (byHost !== null) return bySlug(byHost)
      return typeof header === 'string' ? bySlug(header) : null
    },
    bySlug,
    byId: (tenantId) => remember(`id ${tenantId}`, () => gate.tenantById(tenantId)),
  }
}
