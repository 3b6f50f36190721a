/** Identity's use cases, put together: signing in, what is believed afterwards, and how it ends. */
import { unauthenticated } from '../../kernel/fault.ts'
import type { Locale } from '../../kernel/locale.ts'
import type { Scope } from '../../kernel/scope.ts'
import { checked } from '../../platform/contract.ts'
import { identityMethods, type Self, type SigningIn } from './contract.ts'
import { createIdentify } from './identify.ts'
import type { Parts } from './parts.ts'
import { createBearerMemory, type BearerMemory } from './recall.ts'
import { createPasswords } from './passwords.ts'
import { createSessions } from './sessions.ts'
import { createSignIn } from './sign-in.ts'

export interface IdentityService {
  readonly contract: SigningIn
  readonly memory: BearerMemory
  /** Resolves when every letter begun so far is spooled or has failed. */
  settled(): Promise<void>
}

export function createIdentity(parts: Parts): IdentityService {
  const signIn = createSignIn(parts)
  const passwords = createPasswords(parts, signIn)
  const memory = createBearerMemory(parts)
  const identify = createIdentify(parts, memory)

  const self = async (scope: Scope): Promise<Self> => {
    const { actor, plane } = scope
    if (actor.kind !== 'member' && actor.kind !== 'integration') throw unauthenticated()
    const { slug: tenant } = await parts.tenancy.front(scope, {})
    const nobody = { membershipId: null, identityId: null, email: null, locale: null }
    if (actor.kind === 'integration') return { ...nobody, tenant, role: actor.role, plane, via: 'api-token' }
    const { membershipId, identityId, role, via } = actor
    const person = await parts.repo.person(scope, identityId)
    if (!person) throw unauthenticated()
    return { tenant, membershipId, identityId, email: person.email, locale: person.locale as Locale, role, plane, via }
  }

  const service = { identify, self, ...signIn, ...passwords, ...createSessions(parts) }
  return { contract: checked(identityMethods, service), memory, settled: passwords.settled }
}
