/** What a tenant's IT sees. */
import type { Locale } from '../../../../kernel/locale.ts'
import type { Unit } from '../../../../platform/db/unit.ts'
import type { Connections } from '../connections.ts'
import { type Saml } from '../contract.ts'
import { reasonSentence } from '../reasons.ts'
import { documentOf, html } from '../page.ts'
import type { Parts } from '../parts.ts'

export interface SetupPages {
  /** The end of a test sign-in: the assertion, redacted, with the role it would give; or why it was refused. */
  tested(unit: Unit, locale: Locale, slug: string, attemptId: string): Promise<string>
}

export function createSetupPages(parts: Parts, _connections: Connections, _saml: Saml): SetupPages {
  return {
    async tested(unit, locale, _slug, attemptId) {
      const attempt = await unit.read(() => parts.traffic.findAttempt(unit.scope, attemptId))
      const sentence = attempt?.reason ? reasonSentence(attempt.reason, locale) : null
      return documentOf({
        locale,
        title: attempt?.result ?? '',
        body: html`<p>${sentence}</p><pre>${JSON.stringify(attempt?.shown ?? null, null, 2)}</pre><p>${attempt?.role ?? '-'}</p>`,
      })
    },
  }
}
