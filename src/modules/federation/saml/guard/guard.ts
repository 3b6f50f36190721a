/**
 * The door of the guard: who a SAML message proves somebody to be, or why it proves nothing. It keeps all of its laws, always; it
 * reads nothing but what it is given, stores nothing, and takes no key from a message. That an assertion is used once only is asked
 * by whoever calls it, across processes, by the assertion's id.
 */
import { buildGuard } from './build.ts'
import { allLaws } from './laws.ts'
import type { SamlGuard } from './verdict.ts'

export const samlGuard: SamlGuard = buildGuard(allLaws)
