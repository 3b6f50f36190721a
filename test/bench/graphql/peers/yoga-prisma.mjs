/** GraphQL Yoga over Prisma: an interactive transaction an operation, whose first statement sets the caller; what is selected is joined. */
import { createServer } from 'node:http'
import { PrismaPg } from '@prisma/adapter-pg'
import { createSchema, createYoga } from 'graphql-yoga'
import { PrismaClient } from '../../../../src/platform/db/generated/client.ts'
import { announce, callerOf } from './caller.mjs'
import { account, addSession, auditConsent, auditReads, auditSignIn, keysOf, liveMember, publishConsent } from './queries.mjs'
import { opened, sessionFor, tenantOf } from './sealed.mjs'

const clientOf = (connectionString) => new PrismaClient({ adapter: new PrismaPg({ connectionString, max: 16 }) })
const clients = { query: clientOf(process.env.READ_URL), mutation: clientOf(process.env.WRITE_URL) }
const signing = clientOf(process.env.AUTH_URL)

/** A transaction of its own, whose first statement sets the caller. */
const apart = (client, { tenantId, membershipId = '', role = '' }, work) =>
  client.$transaction(async (tx) => {
    await tx.$executeRaw`select set_config('app.tenant_id', ${tenantId}, true), set_config('app.membership_id', ${membershipId}, true),
      set_config('app.role', ${role}, true), set_config('app.provider_org_id', '', true)`
    return work(tx)
  })

const lists = new Set(['consents', 'incoming', 'outgoing'])
const relations = new Set([...lists, 'party', 'from', 'to', 'recipient'])

/** Prisma's `select` for a GraphQL selection. */
function selectOf({ selections }, variables) {
  const select = { id: true }
  for (const { name, selectionSet, arguments: given } of selections) {
    if (!relations.has(name.value)) select[name.value] = true
    else {
      const nested = { select: selectOf(selectionSet, variables) }
      if (name.value === 'party') select.parties = { ...nested, take: 1 }
      else if (!lists.has(name.value)) select[name.value] = nested
      else {
        const first = given[0].value
        const take = first.kind === 'Variable' ? variables[first.name.value] : Number(first.value)
        select[name.value] = { ...nested, take, orderBy: { id: 'asc' } }
      }
    }
  }
  return select
}

const typeDefs = `
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
const resolvers = {
  Recipient: { party: ({ parties }) => parties[0] ?? null },
  Query: {
    recipient: (_, { id }, { tx, caller: { tenantId } }, info) =>
      tx.careRecipient.findUnique({
        where: { tenantId_id: { tenantId, id } },
        select: selectOf(info.fieldNodes[0].selectionSet, info.variableValues),
        relationLoadStrategy: 'join',
      }),
    recipients: (_, { first }, { tx, caller: { tenantId } }, info) =>
      tx.careRecipient.findMany({
        where: { tenantId },
        orderBy: { id: 'asc' },
        take: first,
        select: selectOf(info.fieldNodes[0].selectionSet, info.variableValues),
        relationLoadStrategy: 'join',
      }),
    async page(_, { first }, { tx, caller }) {
      const { tenantId, membershipId } = caller
      const rows = await tx.careRecipient.findMany({ where: { tenantId }, orderBy: { id: 'asc' }, take: first })
      const ids = rows.map(({ id }) => id)
      const keys = new Map((await tx.$queryRawUnsafe(keysOf, tenantId, ids)).map((one) => [one.id, one]))
      const page = rows.map((row) => ({ ...row, ...opened(tenantId, { ...row, ...keys.get(row.id) }) }))
      await apart(clients.mutation, caller, (write) => write.$executeRawUnsafe(auditReads, tenantId, membershipId, ids))
      return page
    },
  },
  Mutation: {
    async signIn(_, { slug, email, password }) {
      const tenantId = tenantOf(slug)
      const [found] = await apart(signing, { tenantId }, (tx) => tx.$queryRawUnsafe(account, tenantId, email))
      const { sessionId, accessToken, hash } = await sessionFor(tenantId, found, password)
      await apart(signing, { tenantId }, async (tx) => {
        await tx.$executeRawUnsafe(addSession, tenantId, sessionId, found.membershipId, hash)
        await tx.$executeRawUnsafe(auditSignIn, tenantId, found.membershipId, sessionId)
      })
      return { accessToken }
    },
    async grantConsent(_, { recipientId, granteeId }, { tx, caller: { tenantId, membershipId, role } }) {
      const [member] = await tx.$queryRawUnsafe(liveMember, tenantId, membershipId)
      if (member?.role !== role) throw new Error('Not signed in.')
      const recipient = await tx.careRecipient.findUnique({ where: { tenantId_id: { tenantId, id: recipientId } } })
      const grantee = await tx.careParty.findUnique({ where: { tenantId_id: { tenantId, id: granteeId } } })
      if (recipient?.state !== 'ACTIVE' || !grantee) throw new Error('Not found.')
      const made = await tx.consent.create({
        data: { tenantId, recipientId, granteeId, purpose: 'TREATMENT', fieldSet: ['phone'], createdBy: membershipId },
      })
      await tx.$executeRawUnsafe(auditConsent, tenantId, membershipId, made.id, recipientId)
      await tx.$executeRawUnsafe(publishConsent, tenantId, membershipId, made.id)
      return made
    },
  },
}

const inTransaction = {
  onExecute({ executeFn, setExecuteFn }) {
    setExecuteFn((args) => {
      const { caller } = args.contextValue
      // Nobody yet: signing in opens what it needs.
      if (!caller) return executeFn(args)
      const kind = args.document.definitions.find(({ operation }) => operation).operation
      return clients[kind].$transaction(async (tx) => {
        await tx.$executeRaw`select set_config('app.tenant_id', ${caller.tenantId}, true), set_config('app.membership_id', ${caller.membershipId}, true),
          set_config('app.role', ${caller.role}, true), set_config('app.provider_org_id', '', true)`
        args.contextValue.tx = tx
        return executeFn(args)
      })
    })
  },
}

const yoga = createYoga({
  schema: createSchema({ typeDefs, resolvers }),
  logging: false,
  graphiql: false,
  landingPage: false,
  plugins: [inTransaction],
  context: async ({ request }) => ({ caller: request.headers.get('authorization') ? await callerOf(request.headers.get('authorization')) : null }),
})
announce(createServer(yoga))
