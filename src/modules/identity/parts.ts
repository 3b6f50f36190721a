/** What identity's use cases are made of, and the sentences of the audit trail that several of them write. */
import type { Clock } from '../../kernel/clock.ts'
import { tooMany } from '../../kernel/fault.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { Config } from '../../platform/config.ts'
import { isLoopbackHost } from '../../platform/config.ts'
import type { Log } from '../../platform/http/log.ts'
import type { Mail } from '../../platform/mail.ts'
import type { Tenancy } from '../tenancy/contract.ts'
import type { Attempts } from './attempts.ts'
import { sessionRevoked } from './contract.ts'
import type { Keys, Secrets } from './keys.ts'
import type { IdentityRepo } from './repo.ts'
import type { SessionRepo } from './repo-sessions.ts'
import type { SignOnRepo } from './repo-sign-on.ts'
import type { Slowdown } from './throttle.ts'

export interface Parts {
  readonly repo: IdentityRepo
  readonly sessions: SessionRepo
  readonly signOn: SignOnRepo
  readonly keys: Keys
  readonly attempts: Attempts
  readonly vault: Secrets
  readonly tenancy: Pick<Tenancy, 'front' | 'operatorApproval'>
  readonly clock: Clock
  readonly config: Pick<Config, 'publicUrl' | 'host' | 'port' | 'trustedProxies'>
  readonly mail: Mail
  readonly log: Log
}

/** Why somebody was refused: for the audit trail, never for the one who asks. */
export type RefusalReason =
  | 'THROTTLED'
  | 'WRONG_PASSWORD'
  | 'UNKNOWN_ACCOUNT'
  | 'ACCOUNT_DISABLED'
  | 'NO_MEMBERSHIP'
  | 'SIGN_ON_REQUIRED'
  | 'PASSWORD_REPLACED'
  | 'WRONG_CODE'
  | 'CODE_REPLAYED'
  | 'CODE_LIMIT'
  | 'CHALLENGE_OVER'

export function recordRefusal(scope: Scope, reason: RefusalReason, identityId: string | null, action = 'signin.refused'): void {
  scope.unit.record({ action, resource: 'Identity', resourceId: identityId, outcome: 'denied', detail: { reason } })
}

/** Records and publishes the end of sessions. */
export function recordRevoked(scope: Scope, sessionIds: readonly string[], reason: string): void {
  for (const sessionId of sessionIds) {
    scope.unit.record({ action: 'session.revoked', resource: 'Session', resourceId: sessionId, outcome: 'done', detail: { reason } })
    scope.unit.publish(sessionRevoked, sessionId, { sessionId, reason })
  }
}

export function comeBackIn({ refuseForMs }: Slowdown) {
  return tooMany({ retryAfterSeconds: Math.max(1, Math.ceil(refuseForMs / 1_000)) })
}

/** Whether cookies are for https only: always, unless this server is reached by plain http on this machine and by nothing else. */
export function isSecureOnly({ publicUrl, host, trustedProxies }: Parts['config']): boolean {
  if (publicUrl !== null) {
    const { protocol, hostname } = new URL(publicUrl)
    return protocol === 'https:' || !isLoopbackName(hostname)
  }
  return !isLoopbackHost(host) || trustedProxies.length > 0
}

/** Where a tenant's people reach us. Made of the configuration only: a request's Host header could be anybody's. */
export function originOf(slug: string, { publicUrl, port }: Parts['config']): string {
  const url = new URL(publicUrl ?? `http://localhost:${port}`)
  return `${url.protocol}//${slug}.${url.host}`
}

/** What access tokens name as their issuer. */
export function issuerOf({ publicUrl }: Pick<Config, 'publicUrl'>): string {
  return publicUrl ?? 'http://maristan.localhost'
}

function isLoopbackName(hostname: string): boolean {
  return hostname.endsWith('.localhost') || isLoopbackHost(hostname.replace(/^\[|\]$/g, ''))
}
