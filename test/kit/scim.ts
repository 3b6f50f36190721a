/** For the tests of SCIM: a server with a tenant whose directory has a token, and a client that says what came back. */
import type { Scim } from '../../src/modules/federation/scim/contract.ts'
import type { ScimModels } from '../../src/modules/federation/scim/repo-connections.ts'
import { operatorCaller } from '../../src/operator/operator-scope.ts'
import { authLogin } from '../../src/platform/module.ts'
import { freshHouse, type TestHouse, type TestTenant } from './house.ts'

export type { ScimModels }

export interface ScimAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // The shape is what the tests are about.
  readonly body: Readonly<Record<string, any>>
}

export interface Directory {
  readonly tenant: TestTenant
  readonly connectionId: string
  readonly tokenId: string
  readonly token: string
  ask(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<ScimAnswer>
}

export interface ScimRig {
  readonly house: TestHouse
  readonly scim: Scim
  /** A connection of a tenant with one token. */
  directory(tenant: TestTenant, name?: string): Promise<Directory>
  /** Makes these the rules of a connection, as an administrator. */
  rules(directory: Directory, rules: Parameters<Scim['setRules']>[1]['rules']): ReturnType<Scim['setRules']>
  close(): Promise<void>
}

export const userUrn = 'urn:ietf:params:scim:schemas:core:2.0:User'
export const groupUrn = 'urn:ietf:params:scim:schemas:core:2.0:Group'
export const patchUrn = 'urn:ietf:params:scim:api:messages:2.0:PatchOp'

export const userBody = (userName: string, more: Readonly<Record<string, unknown>> = {}) => ({
  schemas: [userUrn],
  userName,
  emails: [{ value: userName.includes('@') ? userName : `${userName}@example.org`, type: 'work', primary: true }],
  ...more,
})
export const groupBody = (displayName: string, members: readonly string[] = []) => ({
  schemas: [groupUrn],
  displayName,
  members: members.map((value) => ({ value })),
})
export const patchBody = (...Operations: readonly unknown[]) => ({ schemas: [patchUrn], Operations })

export async function scimRig(environment: Readonly<Record<string, string>> = {}): Promise<ScimRig> {
  const house = await freshHouse({ SCIM_REQUESTS_PER_MINUTE: '1000000', ...environment })
  const scim = house.composed.made['scim']!.contract as Scim

  return {
    house,
    scim,

    async directory(tenant, name = 'Directory') {
      const unit = house.database.unit(operatorCaller(tenant.id))
      const made = await unit.command((scope) => scim.operatorCreateToken(scope, { connection: name, name: 'test' }))
      const { id: tokenId, token, connectionId } = made
      return {
        tenant,
        connectionId,
        tokenId,
        token,
        async ask(method, path, body, headers = {}) {
          const response = await fetch(`${house.url}/scim/v2${path}`, {
            method,
            headers: {
              authorization: `Bearer ${token}`,
              ...(body === undefined ? {} : { 'content-type': 'application/scim+json' }),
              ...headers,
            },
            ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
          })
          const text = await response.text()
          return { status: response.status, headers: response.headers, text, body: text === '' ? {} : (JSON.parse(text) as ScimAnswer['body']) }
        },
      }
    },

    rules({ tenant, connectionId }, rules) {
      const unit = house.database.unit(tenant.member.tenant_admin.caller)
      return unit.command((scope) => scim.setRules(scope, { connectionId, rules }), authLogin, { isLong: true })
    },

    close: () => house.close(),
  }
}
