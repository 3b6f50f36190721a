/** What each side checked while it was measured, in words. */
const policies = 'row level security on every table, with tenant, membership and role set for exactly the statement or transaction'
const token = 'Ed25519 token: signature (remembered while the token lives), issuer, audience, times'

const session = 'session, membership and person looked up at every request'
const mutations = `in mutations also: ${session}; an audit row and an outbox row in the change’s own transaction`

export const guards: Readonly<Record<string, string>> = {
  ours: [
    policies,
    token,
    session,
    'tenant known and not suspended (remembered for two seconds)',
    'permission of every field',
    'limits on body, tokens, depth, aliases, directives, root fields, repeats and cost',
    'overload shedding, header and framing checks, response headers',
    'errors masked',
    'a log line and metrics a request',
    'statement, lock and transaction time limits',
    'in mutations an audit row and an outbox row in the change’s own transaction; the audit row sealed into its chain, the event delivered',
  ].join('; '),
  postgraphile: `${policies}; ${token}`,
  mercurius: `${policies}; ${token}; ${mutations}`,
  'yoga-prisma': `${policies}; ${token}; ${mutations}`,
  limit: `${policies}; ${token}; ${mutations}`,
}
