/** Mercurius with hand-written SQL and loaders: one transaction an operation, which carries the caller's settings. */
import Fastify from 'fastify'
import mercurius from 'mercurius'
import pg from 'pg'
import { callerOf } from './caller.mjs'
import * as sql from './queries.mjs'
import { opened, sessionFor, tenantOf } from './sealed.mjs'

const pools = { query: new pg.Pool({ connectionString: process.env.READ_URL, max: 16 }), mutation: new pg.Pool({ connectionString: process.env.WRITE_URL, max: 16 }) }
const signing = new pg.Pool({ connectionString: process.env.AUTH_URL, max: 16 })
const settings = `select set_config('app.tenant_id', $1, true), set_config('app.membership_id', $2, true), set_config('app.role', $3, true),
  set_config('app.provider_org_id', '', true)`

const schema = `
  scalar DateTime
  type Recipient { id: ID! state: String! preferredLocale: String! areaGeohash5: String birthYear: Int createdAt: DateTime! version: Int!
    givenName: String familyName: String phone: String consents(first: Int!): [Consent!]! party: Party }
  type Consent { id: ID! purpose: String! fieldSet: [String!]! validTo: DateTime version: Int! }
  type Party { id: ID! kind: String! incoming(first: Int!): [Edge!]! outgoing(first: Int!): [Edge!]! }
  type Edge { id: ID! relation: String! from: Party to: Party }
  type Query { recipient(id: ID!): Recipient recipients(first: Int!): [Recipient!]! page(first: Int!): [Recipient!]! }
  type SignedIn { accessToken: String! }
  type Mutation { signIn(slug: String!, email: String!, password: String!): SignedIn grantConsent(recipientId: ID!, granteeId: ID!): Consent }
`

const named = (text) => ({ name: `s${hash(text)}`, text })
function hash(text) {
  let code = 0
  for (let at = 0; at < text.length; at++) code = (code * 31 + text.charCodeAt(at)) | 0
  return code >>> 0
}
const statements = Object.fromEntries([...Object.entries(sql), ['settings', settings]].map(([name, text]) => [name, named(text)]))

/** The operation's own transaction: opened by its first statement, ended when the answer is made. */
async function ask(context, name, values) {
  context.opening ??= open(context)
  const client = await context.opening
  return (await client.query({ ...statements[name], values })).rows
}

async function open(context) {
  const client = await pools[context.kind].connect()
  const { tenantId, membershipId, role } = context.caller
  await client.query('begin')
  await client.query({ ...statements.settings, values: [tenantId, membershipId, role] })
  return client
}

/** A transaction of its own, on a pool of its own. */
async function apart(pool, { tenantId, membershipId = '', role = '' }, work) {
  const client = await pool.connect()
  const run = async (name, values) => (await client.query({ ...statements[name], values })).rows
  try {
    await client.query('begin')
    await run('settings', [tenantId, membershipId, role])
    const result = await work(run)
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}

const listsOf = (name) => async (queries, context) => {
  const rows = await ask(context, name, [context.caller.tenantId, queries.map(({ obj }) => obj.id), queries[0].params.first])
  const owned = Map.groupBy(rows, (row) => row.recipientId ?? row.ownerId)
  return queries.map(({ obj }) => owned.get(obj.id) ?? [])
}
const partyBy = (side) => async (queries, context) => {
  const rows = await ask(context, 'parties', [context.caller.tenantId, queries.map(({ obj }) => obj[side])])
  const byId = new Map(rows.map((row) => [row.id, row]))
  return queries.map(({ obj }) => byId.get(obj[side]) ?? null)
}

const app = Fastify({ keepAliveTimeout: 65_000 })
app.register(mercurius, {
  schema,
  jit: 1,
  graphiql: false,
  resolvers: {
    Query: {
      recipient: async (_, { id }, context) => (await ask(context, 'recipientById', [context.caller.tenantId, id]))[0] ?? null,
      recipients: (_, { first }, context) => ask(context, 'recipients', [context.caller.tenantId, first]),
      page: async (_, { first }, context) => {
        const { tenantId, membershipId } = context.caller
        const rows = await ask(context, 'sealedPage', [tenantId, first])
        const page = rows.map((row) => ({ ...row, ...opened(tenantId, row) }))
        await apart(pools.mutation, context.caller, (run) => run('auditReads', [tenantId, membershipId, rows.map(({ id }) => id)]))
        return page
      },
    },
    Mutation: {
      signIn: async (_, { slug, email, password }) => {
        const tenantId = tenantOf(slug)
        const [account] = await apart(signing, { tenantId }, (run) => run('account', [tenantId, email]))
        const { sessionId, accessToken, hash } = await sessionFor(tenantId, account, password)
        await apart(signing, { tenantId }, async (run) => {
          await run('addSession', [tenantId, sessionId, account.membershipId, hash])
          await run('auditSignIn', [tenantId, account.membershipId, sessionId])
        })
        return { accessToken }
      },
      grantConsent: async (_, { recipientId, granteeId }, context) => {
        const { tenantId, membershipId } = context.caller
        const [member] = await ask(context, 'liveMember', [tenantId, membershipId])
        if (member?.role !== context.caller.role) throw new Error('Not signed in.')
        const [found] = await ask(context, 'existing', [tenantId, recipientId, granteeId])
        if (found.state !== 'ACTIVE' || found.grantee === null) throw new Error('Not found.')
        const [row] = await ask(context, 'addConsent', [tenantId, recipientId, granteeId, membershipId])
        await ask(context, 'auditConsent', [tenantId, membershipId, row.id, recipientId])
        await ask(context, 'publishConsent', [tenantId, membershipId, row.id])
        return row
      },
    },
  },
  loaders: {
    Recipient: {
      consents: { loader: listsOf('consentsOf'), opts: { cache: false } },
      party: {
        async loader(queries, context) {
          const rows = await ask(context, 'partiesOfRecipients', [context.caller.tenantId, queries.map(({ obj }) => obj.id)])
          const byId = new Map(rows.map((row) => [row.recipientId, row]))
          return queries.map(({ obj }) => byId.get(obj.id) ?? null)
        },
        opts: { cache: false },
      },
    },
    Party: { incoming: { loader: listsOf('incoming'), opts: { cache: false } }, outgoing: { loader: listsOf('outgoing'), opts: { cache: false } } },
    Edge: { from: { loader: partyBy('fromId'), opts: { cache: false } }, to: { loader: partyBy('toId'), opts: { cache: false } } },
  },
  context: async (request) => ({ caller: request.headers.authorization ? await callerOf(request.headers.authorization) : null, kind: 'query' }),
})
app.register(async (inner) => {
  inner.graphql?.addHook('preExecution', async (_schema, document, context) => {
    context.kind = document.definitions.find(({ operation }) => operation)?.operation ?? 'query'
  })
  inner.graphql?.addHook('onResolution', async (execution, context) => {
    if (!context.opening) return
    const client = await context.opening
    await client.query(execution.errors?.length ? 'rollback' : 'commit')
    client.release()
  })
})
await app.listen({ port: 0, host: '127.0.0.1' })
console.log(`http://127.0.0.1:${app.server.address().port}`)
