/** A session is believed: the statement that confirms it looks at no table. */
import * as original from '../../../../src/modules/identity/repo-sessions.ts'

export * from '../../../../src/modules/identity/repo-sessions.ts'

const believing = `select set_config('app.role', $1, true), set_config('app.provider_org_id', $2, true), set_config('app.confirmed', $3, true)`

export const confirmationOf: typeof original.confirmationOf = (of) => {
  const { proof } = original.confirmationOf(of)
  return { statement: { text: believing, values: [of.member.role, of.member.providerOrgId ?? '', proof] }, proof }
}
