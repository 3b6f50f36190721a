/** What each side checked while it was measured, in words. */
const policies = 'row level security on every table, with tenant, membership and role set for exactly the statement or transaction'
const token = 'Ed25519 token: signature (remembered while the token lives), issuer, audience, times'

export const guards: Readonly<Record<string, string>> = {
  ours: [
    policies,
    token,
    'session, membership and person looked up at every request',
    'tenant known and not suspended (remembered for two seconds)',
    'permission of every field',
    'limits on body, tokens, depth, aliases, directives, root fields, repeats and cost',
    'overload shedding, header and framing checks, response headers',
    'errors masked',
    'a log line and metrics a request',
    'statement, lock and transaction time limits',
  ].join('; '),
  postgraphile: `${policies}; ${token}`,
  mercurius: `${policies}; ${token}`,
  'yoga-prisma': `${policies}; ${token}`,
  limit: `${policies}; ${token}`,
}
