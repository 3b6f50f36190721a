/**
 * What is asked of every side: the same records in each one's own words, and how its answer is brought into one form, so that answers can
 * be compared before anything is timed.
 */
import { decodeGlobalId, encodeGlobalId } from '../../../src/platform/graphql/global-id.ts'
import type { BenchTenant } from './ground.ts'
import type { Request } from './load.ts'
import type { PeerName } from './sides.ts'

export interface Asked {
  readonly tenant: BenchTenant
  /** A bearer of our server. */
  readonly token: string
  /** Counts the requests, so that they differ. */
  readonly k: number
}

export interface Words {
  request(asked: Asked): Request
  /** The records of an answer in the common form: plain lists, bare ids, moments in UTC. */
  records(data: never): unknown
}

export interface Case {
  readonly name: string
  readonly ours: Words
  readonly peers: Partial<Record<PeerName, Words>>
}

export const pageSize = 20
export const children = 5
const branches = 2

const recipientFields = 'state preferredLocale areaGeohash5 birthYear createdAt version'
const consentFields = 'purpose fieldSet validTo version'
const idOf = ({ tenant, k }: Asked): string => tenant.recipientIds[k % tenant.recipientIds.length]!

function ours(query: string, variables: (asked: Asked) => object, records: Words['records']): Words {
  return {
    request: (asked) => ({
      path: '/graphql/console',
      headers: { authorization: `Bearer ${asked.token}` },
      body: JSON.stringify({ query, variables: variables(asked) }),
    }),
    records: (data) => plain(records(data)),
  }
}

function theirs(query: string, variables: (asked: Asked) => object, records: Words['records']): Words {
  return {
    request: (asked) => ({
      path: '/graphql',
      headers: { authorization: `Bearer ${asked.tenant.peerToken}` },
      body: JSON.stringify({ query, variables: variables(asked) }),
    }),
    records: (data) => plain(records(data)),
  }
}

function limit(name: string, variables: (asked: Asked) => object): Words {
  return {
    request: (asked) => ({
      path: '/',
      headers: { authorization: `Bearer ${asked.tenant.peerToken}` },
      body: JSON.stringify({ name, variables: variables(asked) }),
    }),
    records: (data) => plain(data),
  }
}

const isoForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/

/** Edges and nodes as lists, global ids as ids, moments in one spelling, keys in order. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === 'string' && isoForm.test(value)) return new Date(value).toISOString()
  if (typeof value !== 'object' || value === null) return value
  const record = value as Record<string, unknown>
  if (Array.isArray(record['edges'])) return record['edges'].map((edge: { node: unknown }) => plain(edge.node))
  if (Array.isArray(record['nodes'])) return record['nodes'].map(plain)
  return Object.fromEntries(
    Object.entries(record)
      .map(([key, one]) => [key, key === 'id' && typeof one === 'string' && !one.includes('-') ? decodeGlobalId(one).id : plain(one)] as const)
      .sort(([one], [other]) => (one < other ? -1 : 1)),
  )
}

const own = (asked: Asked) => ({ id: encodeGlobalId('CareRecipient', idOf(asked)) })
const bare = (asked: Asked) => ({ id: idOf(asked) })
const keyed = (asked: Asked) => ({ tenant: asked.tenant.id, id: idOf(asked) })

const handWritten = (query: string, variables: (asked: Asked) => object, records: Words['records']) => ({
  mercurius: theirs(query, variables, records),
  'yoga-prisma': theirs(query, variables, records),
})

export const byId: Case = {
  name: 'byId',
  ours: ours(`query ($id: ID!) { recipient(id: $id) { id ${recipientFields} } }`, own, (data: { recipient: unknown }) => data.recipient),
  peers: {
    postgraphile: theirs(
      `query ($tenant: UUID!, $id: UUID!) { recipientByTenantIdAndRowId(tenantId: $tenant, rowId: $id) { id: rowId ${recipientFields} } }`,
      keyed,
      (data: { recipientByTenantIdAndRowId: unknown }) => data.recipientByTenantIdAndRowId,
    ),
    ...handWritten(`query ($id: ID!) { recipient(id: $id) { id ${recipientFields} } }`, bare, (data: { recipient: unknown }) => data.recipient),
    limit: limit('byId', bare),
  },
}

const sizes = () => ({ first: pageSize, children })
export const list: Case = {
  name: 'list',
  ours: ours(
    `query ($first: Int!, $children: Int!) { recipients(first: $first) { edges { node { id ${recipientFields}
      consents(first: $children) { edges { node { id ${consentFields} } } } } } } }`,
    sizes,
    (data: { recipients: unknown }) => data.recipients,
  ),
  peers: {
    postgraphile: theirs(
      `query ($first: Int!, $children: Int!) { allRecipients(first: $first, orderBy: PRIMARY_KEY_ASC) { nodes { id: rowId ${recipientFields}
        consents: consentsByTenantIdAndRecipientId(first: $children, orderBy: PRIMARY_KEY_ASC) { nodes { id: rowId ${consentFields} } } } } }`,
      sizes,
      (data: { allRecipients: unknown }) => data.allRecipients,
    ),
    ...handWritten(
      `query ($first: Int!, $children: Int!) { recipients(first: $first) { id ${recipientFields} consents(first: $children) { id ${consentFields} } } }`,
      sizes,
      (data: { recipients: unknown }) => data.recipients,
    ),
    limit: limit('list', sizes),
  },
}

/** Recipient, party, link, party, link, party. */
const deep: Case = {
  name: 'deep',
  ours: ours(
    `query ($id: ID!) { recipient(id: $id) { id party { id kind incoming(first: ${branches}) { edges { node { id relation from { id kind
      outgoing(first: ${branches}) { edges { node { id relation to { id kind } } } } } } } } } } }`,
    own,
    (data: { recipient: unknown }) => data.recipient,
  ),
  peers: {
    postgraphile: theirs(
      `query ($tenant: UUID!, $id: UUID!) { recipientByTenantIdAndRowId(tenantId: $tenant, rowId: $id) { id: rowId
        party: partiesByTenantIdAndRecipientId(first: 1) { nodes { id: rowId kind
          incoming: edgesByTenantIdAndToPartyId(first: ${branches}, orderBy: PRIMARY_KEY_ASC) { nodes { id: rowId relation
            from: partyByTenantIdAndFromPartyId { id: rowId kind
              outgoing: edgesByTenantIdAndFromPartyId(first: ${branches}, orderBy: PRIMARY_KEY_ASC) { nodes { id: rowId relation
                to: partyByTenantIdAndToPartyId { id: rowId kind } } } } } } } } } }`,
      keyed,
      (data: { recipientByTenantIdAndRowId: { party: { nodes: unknown[] } } }) => {
        const recipient = data.recipientByTenantIdAndRowId
        return { ...recipient, party: recipient.party.nodes[0] }
      },
    ),
    ...handWritten(
      `query ($id: ID!) { recipient(id: $id) { id party { id kind incoming(first: ${branches}) { id relation from { id kind
        outgoing(first: ${branches}) { id relation to { id kind } } } } } } }`,
      bare,
      (data: { recipient: unknown }) => data.recipient,
    ),
    limit: limit('deep', (asked) => ({ ...bare(asked), children: branches })),
  },
}

const granteeOf = ({ tenant, k }: Asked): string => tenant.granteeIds[k % tenant.granteeIds.length]!
const grant = (asked: Asked) => ({ recipientId: idOf(asked), granteeId: granteeOf(asked) })
/** Without its id, which each side draws. */
const granted = (data: { grantConsent: object }): unknown => data.grantConsent

/** A consent with its audit row: the recipient and the grantee are looked up first. */
export const mutation: Case = {
  name: 'mutation',
  ours: ours(
    `mutation ($input: GrantConsentInput!) { grantConsent(input: $input) { ... on Consent { ${consentFields} } } }`,
    (asked) => ({
      input: {
        recipientId: encodeGlobalId('CareRecipient', idOf(asked)),
        granteeId: encodeGlobalId('CareParty', granteeOf(asked)),
        purpose: 'TREATMENT',
        fieldSet: ['phone'],
      },
    }),
    granted,
  ),
  peers: {
    ...handWritten(
      `mutation ($recipientId: ID!, $granteeId: ID!) { grantConsent(recipientId: $recipientId, granteeId: $granteeId) { ${consentFields} } }`,
      grant,
      granted,
    ),
    limit: limit('mutation', grant),
  },
}

const pageOf = (fields: string): string => `{ recipients(first: 100) { edges { node { id ${recipientFields} ${fields} } } } }`
const noVariables = () => ({})
const recipientsIn = (data: { recipients: unknown }): unknown => data.recipients

const rewritten = (words: Words, change: (body: { query: string }) => object): Words => ({
  ...words,
  request(asked) {
    const request = words.request(asked)
    return { ...request, body: JSON.stringify(change(JSON.parse(request.body) as { query: string })) }
  },
})

/** A document that has no plan for its directive: executed, without the server library. */
const executed = (words: Words): Words => rewritten(words, (body) => ({ ...body, query: body.query.replace(' state ', ' state @include(if: true) ') }))

/** A request that the server library answers. */
const throughLibrary = (words: Words): Words => rewritten(words, (body) => ({ ...body, operationName: null }))

const sealedPage = ours(pageOf('givenName familyName phone'), noVariables, recipientsIn)
const unsealedPage = ours(pageOf(''), noVariables, recipientsIn)

/** Our own ways against each other: a page of 100 with three sealed fields and its audit rows, and without them; compiled, and not. */
export const pages: Readonly<Record<string, Words>> = {
  sealed: sealedPage,
  unsealed: unsealedPage,
  'sealed executed': executed(sealedPage),
  'unsealed executed': executed(unsealedPage),
}

/** The same case compiled, executed by graphql-js, and executed through the server library. */
export const ways: Readonly<Record<string, Words>> = {
  'byId compiled': byId.ours,
  'byId executed': executed(byId.ours),
  'byId library': throughLibrary(byId.ours),
  'list compiled': list.ours,
  'list executed': executed(list.ours),
  'list library': throughLibrary(list.ours),
}

const signInDocument = 'mutation ($i: SignInInput!) { signIn(input: $i) { __typename ... on SignedIn { accessToken } } }'
const signInWords: Words = {
  request: ({ tenant: { slug, email, password } }) => ({
    path: '/graphql/console',
    headers: { 'x-maristan-tenant': slug },
    body: JSON.stringify({ query: signInDocument, variables: { i: { email, password } } }),
  }),
  // Each side signs a token of its own: what is compared is that there is one.
  records: (data: { signIn: { accessToken: string } }) => data.signIn.accessToken.split('.').length,
}

const peerSignIn: Words = {
  request: ({ tenant: { slug, email, password } }) => ({
    path: '/graphql',
    headers: {},
    body: JSON.stringify({
      query: 'mutation ($slug: String!, $email: String!, $password: String!) { signIn(slug: $slug, email: $email, password: $password) { accessToken } }',
      variables: { slug, email, password },
    }),
  }),
  records: signInWords.records,
}

/** Argon2id of the same parameters, a session's row, an audit row, a signed token. Ours counts attempts as well. */
export const signIn: Case = { name: 'signIn', ours: signInWords, peers: { mercurius: peerSignIn, 'yoga-prisma': peerSignIn } }

/** A hundred people with three protected fields each, and the audit rows of that. */
export const page: Case = {
  name: 'page',
  ours: sealedPage,
  peers: handWritten(`{ page(first: 100) { id ${recipientFields} givenName familyName phone } }`, noVariables, (data: { page: unknown }) => data.page),
}

export const reads: readonly Case[] = [byId, list, deep]
export const cases: readonly Case[] = [...reads, mutation, page, signIn]
