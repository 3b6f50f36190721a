/** A session is believed: the statement that confirms it looks at no table. */
import * as original from '../../../../src/modules/identity/repo-sessions.ts'

export * from '../../../../src/modules/identity/repo-sessions.ts'

const believing = 'select $1::text'

export const confirmationOf: typeof original.confirmationOf = (of) => {
  const { proof } = original.confirmationOf(of)
  return { text: believing, values: [proof], proof }
}
