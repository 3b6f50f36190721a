/** Single sign-on and the tenant's own key: an administrator's, and nobody else's. */
import { generateKeyPairSync } from 'node:crypto'
import { expect } from 'vitest'
import { newId } from '../../src/kernel/id.ts'
import { sha256Hex } from '../../src/platform/crypto/hash.ts'
import { selfSigned } from '../kit/certificate.ts'
import { expectList, mutation, query, type Operation, type Operations } from './operation.ts'
import { gid, type Variables, type World } from './world.ts'

type State = 'DRAFT' | 'CONFIGURED' | 'TESTED' | 'ACTIVE' | 'ENFORCED'

/** A connection in a state, past its way there. */
async function connection(world: World, state: State, tenant = world.here): Promise<string> {
  const id = newId()
  await world.house.at.owner(
    `insert into saml.connection (tenant_id, id, name, state, is_enforced, entity_id, sso_url, sso_binding)
     values ($1, $2::uuid, 'Planted', $3::saml.connection_state, $3 = 'ENFORCED', 'https://idp.example/' || $2, 'https://idp.example/sso', 'redirect')`,
    [tenant.id, id, state],
  )
  return gid('SsoConnection', id)
}

const raw = (id: string): string => Buffer.from(id, 'base64url').toString().split(':')[1]!
const domain = 'hospital.example'
async function withDomain(world: World, tenant = world.here): Promise<string> {
  const id = await connection(world, 'CONFIGURED', tenant)
  await world.house.at.owner('insert into saml.domain (tenant_id, connection_id, domain, challenge) values ($1, $2, $3, $4)', [
    tenant.id, raw(id), domain, 'planted',
  ])
  const { resolver } = world.house.composed.made['saml'] as unknown as { resolver: { txtOf: (name: string) => Promise<string[]> } }
  resolver.txtOf = async () => ['maristan-sso=planted']
  return id
}

const onConnection = (
  field: string,
  result: string,
  more: { parameters?: string; state?: State; plant?: (world: World, tenant?: World['here']) => Promise<string>; variables?: Variables } = {},
): Operation => {
  const { parameters = '', state = 'CONFIGURED', variables = {} } = more
  const plant = more.plant ?? ((world: World, tenant?: World['here']) => connection(world, state, tenant))
  return {
    ...mutation(field, `$connectionId: ID!${parameters}`, result),
    inside: async (world) => ({ connectionId: await plant(world), ...variables }),
    outside: async (world) => ({ 'a connection of another tenant': { connectionId: await plant(world, world.there), ...variables } }),
  }
}

async function attempt(world: World, tenant = world.here): Promise<string> {
  const id = newId()
  await world.house.at.owner("insert into saml.attempt (tenant_id, id, purpose, result, reason) values ($1, $2, 'SIGN_IN', 'REFUSED', 'ISSUER')", [tenant.id, id])
  return gid('SamlAttempt', id)
}

async function recoverable(world: World, tenant = world.here): Promise<string> {
  const id = await connection(world, 'ACTIVE', tenant)
  await world.house.at.owner('insert into saml.recovery (tenant_id, connection_id, code_hash) values ($1, $2, $3)', [
    tenant.id, raw(id), sha256Hex('maristan-saml-recovery|planted'),
  ])
  return id
}

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = selfSigned(privateKey, 'idp.example', new Date('2026-01-01T00:00:00Z'), new Date('2036-01-01T00:00:00Z'))
const metadata = `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" \
entityID="https://idp.example/fresh"><md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">\
<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>${pem.replace(/-----[^-]+-----|\s/g, '')}</ds:X509Certificate>\
</ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" \
Location="https://idp.example/sso"/></md:IDPSSODescriptor></md:EntityDescriptor>`

export const samlOperations: Operations = {
  'sso:manage': [
    {
      ...query('ssoConnections', '{ ssoConnections { id state } }'),
      async inside(world) {
        await connection(world, 'DRAFT')
        return {}
      },
      async check(world, _, payload) {
        const foreign = await connection(world, 'DRAFT', world.there)
        const rows = await world.house.at.owner<{ id: string }>('select id from saml.connection where tenant_id = $1', [world.here.id])
        const ids = (payload as unknown as { id: string }[]).map(({ id }) => id)
        expectList(ids, rows.map(({ id }) => gid('SsoConnection', id)), [foreign])
      },
    },
    {
      ...query('ssoAddresses', '{ ssoAddresses { entityId acsUrl } }'),
      inside: () => ({}),
      check: (world, _, { entityId }) => expect(String(entityId)).toContain(`/saml/${world.here.slug}/`),
    },
    {
      ...query('ssoAttempt', 'query ($id: ID!) { ssoAttempt(id: $id) { id result } }'),
      inside: async (world) => ({ id: await attempt(world) }),
      outside: async (world) => ({ 'an attempt at another tenant': { id: await attempt(world, world.there) } }),
    },
    {
      ...mutation('createSsoConnection', '$name: String!', 'SsoConnection { id state }'),
      inside: () => ({ name: 'Another provider' }),
      check: (_, __, { state }) => expect(state).toBe('DRAFT'),
    },
    onConnection('changeSsoConnection', 'SsoConnection { id }', {
      parameters: ', $input: ChangeSsoConnectionInput!', variables: { input: { version: 1, name: 'Renamed' } },
    }),
    onConnection('configureSsoConnection', 'SsoConnection { id state }', {
      parameters: ', $metadata: String', state: 'DRAFT', variables: { metadata },
    }),
    onConnection('setSsoRules', 'SsoConnection { id }', {
      parameters: ', $rules: [SsoRuleInput!]!', variables: { rules: [{ attribute: 'group', value: 'Nurses', role: 'clinician' }] },
    }),
    {
      ...mutation('linkSsoMember', '$connectionId: ID!, $membershipId: ID!, $externalId: String!', 'SsoDone { __typename }'),
      inside: async (world) => ({ connectionId: await connection(world, 'ACTIVE'), membershipId: world.member('clinician'), externalId: newId() }),
      outside: async (world) => ({
        'a connection of another tenant': {
          connectionId: await connection(world, 'ACTIVE', world.there), membershipId: world.member('clinician'), externalId: newId(),
        },
        'a member of another tenant': {
          connectionId: await connection(world, 'ACTIVE'), membershipId: world.member('clinician', world.there), externalId: newId(),
        },
      }),
    },
    onConnection('stageSsoCertificate', 'SsoConnection { id }', { parameters: ', $pem: String!', state: 'ACTIVE', variables: { pem } }),
    onConnection('createSsoSetupLink', 'SsoSecret { value }', { state: 'DRAFT' }),
    onConnection('createSsoTestLink', 'SsoSecret { value }', { state: 'CONFIGURED' }),
    onConnection('makeSsoRecoveryCode', 'SsoSecret { value }', { state: 'ACTIVE' }),
    onConnection('activateSsoConnection', 'SsoConnection { id state }', { state: 'TESTED' }),
    onConnection('disableSsoConnection', 'SsoConnection { id state }', { state: 'ACTIVE' }),
    onConnection('relaxSsoConnection', 'SsoConnection { id state }', { state: 'ENFORCED' }),
    onConnection('addSsoDomain', 'SsoConnection { id }', { parameters: ', $domain: String!', variables: { domain } }),
    onConnection('proveSsoDomain', 'SsoConnection { id }', { parameters: ', $domain: String!', plant: withDomain, variables: { domain } }),
    onConnection('removeSsoDomain', 'SsoConnection { id }', { parameters: ', $domain: String!', plant: withDomain, variables: { domain } }),
    onConnection('confirmSsoRecoveryCode', 'SsoDone { __typename }', {
      parameters: ', $code: String!', plant: recoverable, variables: { code: 'planted' },
    }),
    {
      ...onConnection('enforceSsoConnection', 'SsoConnection { id state }', { state: 'ACTIVE' }),
      beyondGuard: {
        code: 'ENFORCEMENT_TOO_SOON',
        provenBy: {
          file: 'test/saml/life.test.ts',
          test: 'not before two administrators have signed in through it and a code is stored; and the code brings them back',
        },
      },
    },
    {
      kind: 'mutation',
      field: 'rollSsoKeys',
      document: 'mutation { rollSsoKeys { __typename ... on Fault { code } } }',
      inside: () => ({}),
      async check(world) {
        const [row] = await world.house.at.owner<{ mine: boolean }>('select bool_and(tenant_id = $1) as mine from saml.key', [world.here.id])
        expect(row!.mine).toBe(true)
      },
    },
  ],
  'tenant:read': [
    {
      ...query('tenantKeys', '{ tenantKeys { keys { version state subjects } } }'),
      inside: () => ({}),
      check: (_, __, { keys }) => expect(keys).toMatchObject([{ version: 1, state: 'ACTIVE' }]),
    },
  ],
}
