/**
 * `/scim/v2` attacked through its own route: a directory's token at the other tenant's address, and the other tenant's users and groups by
 * id, by filter and as members. Each must be answered as if they did not exist, and each is first shown to work for its owner.
 */
import { systemClock } from '../kernel/clock.ts'
import { newId } from '../kernel/id.ts'
import type { Scim } from '../modules/federation/scim/contract.ts'
import type { scim } from '../modules/federation/scim/index.ts'
import { scimRoute } from '../modules/federation/scim/routes.ts'
import type { Composed } from '../platform/compose.ts'
import { createLog } from '../platform/http/log.ts'
import type { Route } from '../platform/http/router.ts'
import { createTenantDoor } from '../platform/http/tenant.ts'
import type { BoundDatabase } from './bound-database.ts'
import { send } from './in-process.ts'
import type { newFindings } from './table-attacks.ts'
import type { ThrowawayTenant } from './throwaway-tenant.ts'

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

const user = (userName: string) => ({ schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName })
const group = (members: readonly string[]) => ({
  schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
  displayName: 'Proof',
  members: members.map((value) => ({ value })),
})
const patch = (path: string, value: unknown) => ({
  schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
  Operations: [{ op: 'add', path, value }],
})

export class ScimAttacks {
  readonly #database: BoundDatabase
  readonly #scim: Scim
  readonly #route: Route
  readonly #findings: ReturnType<typeof newFindings>

  constructor(database: BoundDatabase, house: Composed, findings: ReturnType<typeof newFindings>) {
    this.#database = database
    this.#findings = findings
    const { protocol } = house.made['scim'] as ReturnType<typeof scim.build>
    this.#scim = house.made['scim']!.contract as Scim
    this.#route = scimRoute({
      open: (caller) => database.unit(caller),
      add: (add) => database.addConfirmed(add),
      door: createTenantDoor(database.gate, ['localhost']),
      scim: this.#scim,
      protocol,
      // Nothing of the proof is kept.
      recorder: { note() {}, settle: async () => {} },
      config: { publicUrl: null, scimRequestsPerMinute: 1_000_000 },
      clock: systemClock,
      log: createLog({ level: 'silent' }),
    })
  }

  async attack(victim: ThrowawayTenant, attacker: ThrowawayTenant): Promise<void> {
    const [own, strange] = [await this.#token(victim), await this.#token(attacker)]
    const ask = (token: string, method: string, path: string, body?: unknown, host = 'localhost') => this.#ask(token, method, path, host, body)
    const userName = `proof-${newId()}@${victim.slug}.invalid`
    const made = await ask(own, 'POST', '/Users', user(userName))
    const { id } = made.body
    const groupMade = await ask(own, 'POST', '/Groups', group([String(id)]))
    const strangers = await ask(strange, 'POST', '/Groups', group([]))
    if (made.status !== 201 || groupMade.status !== 201 || strangers.status !== 201) {
      this.#findings.unproven.push(`/scim/v2: its own directory could make nothing (${made.status}, ${groupMade.status}, ${strangers.status}).`)
      return
    }
    const groupId = groupMade.body['id']

    await this.#control('GET at its own host', ask(own, 'GET', '/Users', undefined, `${victim.slug}.localhost`), 200)
    await this.#refused('a token at the other host', ask(own, 'GET', '/Users', undefined, `${attacker.slug}.localhost`), 401)
    for (const [kind, foreign, body] of [
      ['Users', id, user(userName)],
      ['Groups', groupId, group([])],
    ] as const) {
      await this.#control(`GET /${kind}/{id}`, ask(own, 'GET', `/${kind}/${foreign}`), 200)
      for (const [method, sent] of [['GET', undefined], ['PUT', body], ['PATCH', patch('externalId', 'stolen')], ['DELETE', undefined]] as const) {
        const attack = await ask(strange, method, `/${kind}/${foreign}`, sent)
        const random = await ask(strange, method, `/${kind}/${newId()}`, sent)
        this.#same(`${method} /${kind}/{id} of another tenant`, attack, random)
      }
      await this.#refused(`GET /${kind} for another tenant's id`, ask(strange, 'GET', `/${kind}?filter=id eq "${foreign}"`), 200, 0)
      await this.#control(`GET /${kind}/{id} afterwards`, ask(own, 'GET', `/${kind}/${foreign}`), 200)
    }
    await this.#refused("GET /Users by another tenant's name", ask(strange, 'GET', `/Users?filter=userName eq "${userName}"`), 200, 0)
    const path = `/Groups/${strangers.body['id']}`
    const attack = await ask(strange, 'PATCH', path, patch('members', [{ value: id }]))
    this.#same('a member of another tenant', attack, await ask(strange, 'PATCH', path, patch('members', [{ value: newId() }])))
  }

  async #token(tenant: ThrowawayTenant): Promise<string> {
    const admin = tenant.callers('console').find(({ actor }) => actor.kind === 'member' && actor.role === 'tenant_admin')!
    const unit = this.#database.unit(admin)
    return unit.command(async (scope) => {
      const { id: connectionId } = await this.#scim.createConnection(scope, { name: `proof ${newId()}` })
      return (await this.#scim.createToken(scope, { connectionId, name: 'proof' })).token
    }, 'maristan_auth')
  }

  async #control(name: string, asked: Promise<Answer>, status: number): Promise<void> {
    const answer = await asked
    if (answer.status === status) this.#findings.controls++
    else this.#findings.unproven.push(`/scim/v2 ${name}: answered ${answer.status} to its own directory.`)
  }

  async #refused(name: string, asked: Promise<Answer>, status: number, total?: number): Promise<void> {
    this.#findings.attacks++
    const answer = await asked
    if (answer.status !== status || (total !== undefined && answer.body['totalResults'] !== total)) {
      this.#findings.leaks.push(`/scim/v2 ${name}: answered ${answer.status} with ${String(answer.body['totalResults'] ?? 'no')} results.`)
    }
  }

  #same(name: string, attack: Answer, random: Answer): void {
    this.#findings.attacks++
    if (attack.status === 404 && JSON.stringify(attack) === JSON.stringify(random)) return
    this.#findings.leaks.push(`/scim/v2 ${name}: answered ${attack.status}, a random id ${random.status}.`)
  }

  async #ask(token: string, method: string, path: string, host: string, body?: unknown): Promise<Answer> {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/scim+json' }
    const sent = body === undefined ? {} : { body: JSON.stringify(body) }
    const { status, text } = await send(this.#route, { method, path: `/scim/v2${path}`, host, headers, ...sent })
    return { status, body: text === '' ? {} : (JSON.parse(text) as Answer['body']) }
  }
}
