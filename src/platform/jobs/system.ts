/** Work that nobody asked for over the network: who acts in it, and how long it may take. */
import type { Caller } from '../../kernel/scope.ts'

/** The system itself inside one tenant. It holds no permission: handlers and jobs call what their own module built. */
export function systemCaller(tenantId: string, job: string, requestId: string): Caller {
  return {
    tenantId,
    plane: null,
    actor: { kind: 'system', job },
    permissions: new Set(),
    purpose: null,
    requestId,
    sourceAddress: null,
    userAgent: null,
  }
}

/** A job, of each tenant or of the building. It may run twice for one occasion, never twice at a time in one place. */
export interface TenantJob {
  /** False: it runs once an occasion outside every tenant. */
  readonly inEveryTenant: boolean
  /** `<module>.<name>`, or the platform part's. */
  readonly name: string
  /** Five cron fields, UTC. */
  readonly cron: string
  /** @param signal aborted when the run must end: the process is stopping or the run took too long. */
  run(tenantId: string, requestId: string, signal: AbortSignal): Promise<void>
}

export class Overdue extends Error {
  readonly code = 'OVERDUE'

  constructor() {
    super('The work took longer than it may.')
    this.name = 'Overdue'
  }
}

/** The outcome of `work`, or a failure after `limitMs` milliseconds; the work itself is not stopped by that. */
export async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const overdue = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Overdue()), limitMs)
  })
  try {
    return await Promise.race([work, overdue])
  } finally {
    clearTimeout(timer)
  }
}
