/**
 * What the demo's tenants hold: a care network of some thirty people each, what they consented to, what a seller may see of it, a legal
 * hold, an emergency access, and the groups of a directory.
 */
import { TOTP, URI } from 'otpauth'
import type { Caller, Scope } from '../kernel/scope.ts'
import type { Role } from '../modules/access/contract.ts'
import type { Care } from '../modules/care/contract.ts'
import type { Place } from '../modules/federation/scim/protocol.ts'
import { authLogin } from '../platform/module.ts'
import type { Seeder } from './demo.ts'
import { demoGroups, demoHelpers, demoRecipients, demoRelatives, type DemoTenant } from './demo-people.ts'
import { operatorCaller } from './operator-scope.ts'

const disclosedForDays = 90

/** Recipients with their relatives and helpers, as the coordinator makes them: one command. */
export async function ensureCare(seeder: Seeder, plan: DemoTenant, callers: ReadonlyMap<Role, Caller>): Promise<void> {
  const coordinator = seeder.database.unit(callers.get('care_coordinator')!)
  const existing = await coordinator.read(() => coordinator.db.careRecipient.count())
  if (existing > 0) return
  await coordinator.command((scope) => seedNetwork(seeder.contract.care, scope, plan, (role) => membershipIn(callers, role)))
}

function membershipIn(callers: ReadonlyMap<Role, Caller>, role: Role): string {
  const { actor } = callers.get(role)!
  if (actor.kind !== 'member') throw new Error('A demo caller is a member.')
  return actor.membershipId
}

/** Something in the compliance officer's list: the file of the last recipient is held. */
export async function ensureHold({ database, contract }: Seeder, officer: Caller): Promise<void> {
  const unit = database.unit(officer)
  const last = await unit.read(async () =>
    (await unit.db.legalHold.count()) > 0 ? null : unit.db.careRecipient.findFirst({ orderBy: { id: 'desc' }, select: { id: true } }),
  )
  if (last === null) return
  await unit.command((scope) => contract.custody.placeHold(scope, { recipientId: last.id, basis: 'REGULATOR', reference: 'DEMO-1' }))
}

/** Something for the seller to see: one recipient's name and number, for as long as she consents. One command. */
export async function ensureDisclosure({ database, contract: { care } }: Seeder, callers: ReadonlyMap<Role, Caller>): Promise<void> {
  const unit = database.unit(callers.get('care_coordinator')!)
  const first = await unit.read(async () =>
    (await unit.db.disclosureGrant.count()) > 0 ? null : unit.db.careRecipient.findFirstOrThrow({ orderBy: { id: 'asc' }, select: { id: true } }),
  )
  if (first === null) return
  const of = { recipientId: first.id }
  const fields = ['givenName', 'phone'] as const
  await unit.command(async (scope) => {
    const seller = { kind: 'ORG', name: 'Harbour Supplies', membershipId: membershipIn(callers, 'provider_manager') } as const
    const { id: granteeId } = await care.createParty(scope, seller)
    await care.grantConsent(scope, { ...of, granteeId, purpose: 'OPERATIONS', fieldSet: [...fields] })
    const expiresAt = new Date(Date.now() + disclosedForDays * 86_400_000).toISOString()
    await care.openDisclosure(scope, { ...of, granteeId, fields: [...fields], expiresAt })
  })
}

/** Something in the administrator's list: a connection that waits for the metadata of an identity provider. */
export async function ensureConnection({ database, contract: { saml } }: Seeder, admin: Caller): Promise<void> {
  const unit = database.unit(admin)
  if ((await unit.read(() => saml.connections(unit.scope, {}))).length > 0) return
  await unit.command((scope) => saml.create(scope, { name: 'Demo identity provider' }), authLogin)
}

/** The groups of the demo's directory, as the directory itself would send them: one command each. */
export async function ensureGroups({ database, protocol }: Seeder, tenantId: string, connectionId: string): Promise<void> {
  const actor = { kind: 'directory', source: 'SCIM', connectionId } as const
  const unit = database.unit({ ...operatorCaller(tenantId), actor })
  const place: Place = {
    connectionId,
    baseUrl: '',
    read: (work) => unit.read(() => work(unit.scope)),
    write: (work) => unit.command(work),
    add: () => Promise.reject(new Error('The demo sends no people.')),
  }
  const ask = async (method: 'GET' | 'POST', body?: object) => {
    const { status, body: answer } = await protocol({ method, path: '/Groups', query: new URLSearchParams(), body }, place)
    if (status >= 300) throw new Error(`The demo's directory was answered ${status}.`)
    return answer as { readonly totalResults?: number }
  }
  if ((await ask('GET')).totalResults !== 0) return
  for (const [displayName] of demoGroups) await ask('POST', { schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'], displayName })
}

/**
 * Something in the review queue: the clinician opened a record outside her reach. As in life that takes an authenticator; she enrols one
 * and removes it again, so that the demo's people sign in by password alone. Interrupted, it is done again from the start, so call it
 * only while nobody can have been told that password.
 */
export async function ensureEmergency({ database, contract }: Seeder, callers: ReadonlyMap<Role, Caller>, password: string): Promise<void> {
  const { identity, emergency } = contract
  const officer = database.unit(callers.get('compliance_officer')!)
  const isOpened = await officer.read(async () => (await officer.db.breakGlassGrant.count()) > 0)
  const coordinator = database.unit(callers.get('care_coordinator')!)
  const { id: recipientId } = await coordinator.read(() =>
    coordinator.db.careRecipient.findFirstOrThrow({ orderBy: { id: 'desc' }, select: { id: true } }),
  )
  const clinician = database.unit(callers.get('clinician')!)
  const asked = <Result>(work: (scope: Scope) => Promise<Result>): Promise<Result> => clinician.read(() => work(clinician.scope))
  const { otpauthUri } = await asked((scope) => identity.enrolTotp(scope, { password }))
  const authenticator = URI.parse(otpauthUri)
  if (!(authenticator instanceof TOTP)) throw new Error('An authenticator of this house counts by time.')
  const timestamp = Date.now()
  const { recoveryCodes } = await asked((scope) => identity.confirmTotp(scope, { code: authenticator.generate({ timestamp }) }))
  // A code is good once: the next one is the one of the half minute to come.
  const code = authenticator.generate({ timestamp: timestamp + authenticator.period * 1_000 })
  const reason = 'Found unconscious, no relative to be reached'
  if (!isOpened) await asked((scope) => emergency.openAccess(scope, { recipientId, reason, minutes: 60, code }))
  await asked((scope) => identity.removeTotp(scope, { password, code: recoveryCodes[0]! }))
}

async function seedNetwork(care: Care, scope: Scope, plan: DemoTenant, membershipOf: (role: Role) => string): Promise<void> {
  const nth = <T>(list: readonly T[], k: number): T => list[k % list.length]!
  let people = 0
  const person = () => {
    const k = people++
    return { givenName: nth(plan.givenNames, k), familyName: nth(plan.familyNames, k * 3 + Math.floor(k / plan.familyNames.length)) }
  }
  const phone = (k: number) => `${plan.phonePrefix}${String(100 + k)}`

  const recipients: string[] = []
  const ids: string[] = []
  for (let k = 0; k < demoRecipients; k++) {
    const made = await care.createRecipient(scope, {
      ...person(),
      birthDate: `${1931 + ((k * 7) % 40)}-0${1 + (k % 9)}-1${k % 9}`,
      sex: k % 2 === 0 ? 'FEMALE' : 'MALE',
      mrn: `${plan.slug.toUpperCase()}-${1000 + k}`,
      phone: phone(k),
      address: `${nth(plan.streets, k)} ${k + 1}`,
      preferredLocale: plan.locale,
      areaGeohash5: plan.area,
    })
    recipients.push(made.partyId)
    ids.push(made.id)
  }
  const party = async (kind: 'FAMILY' | 'CAREGIVER' | 'CLINICIAN' | 'ORG', k: number, membershipId?: string) => {
    const { givenName, familyName } = person()
    const made = await care.createParty(scope, { kind, name: `${givenName} ${familyName}`, phone: phone(50 + k), ...(membershipId ? { membershipId } : {}) })
    return made.id
  }

  // The demo's family member represents the first recipient; every other relative belongs to somebody, some to each other.
  const relatives: string[] = []
  for (let k = 0; k < demoRelatives; k++) {
    const id = await party('FAMILY', k, k === 0 ? membershipOf('family') : undefined)
    relatives.push(id)
    const isSecondRing = k >= 10
    await care.linkParty(scope, {
      fromPartyId: id,
      toPartyId: isSecondRing ? relatives[k - 10]! : nth(recipients, k),
      relation: k % 3 === 0 ? 'CHILD' : 'RELATIVE',
      capabilities: k === 0 ? ['VIEW', 'PHI', 'EDIT', 'MANAGE'] : ['VIEW'],
      legalGuardian: k === 0,
    })
  }
  // Clinicians and carers, the first of each a member; each looks after a few.
  for (let k = 0; k < demoHelpers; k++) {
    const clinician = k % 2 === 0
    const member = k === 0 ? membershipOf('clinician') : k === 1 ? membershipOf('caregiver') : undefined
    const id = await party(clinician ? 'CLINICIAN' : 'CAREGIVER', 20 + k, member)
    for (const offset of k < 2 ? [0, 1, 2] : [k % demoRecipients]) {
      await care.linkParty(scope, {
        fromPartyId: id,
        toPartyId: recipients[offset]!,
        relation: clinician ? 'PHYSICIAN' : 'CAREGIVER',
        capabilities: clinician ? ['VIEW', 'PHI', 'EDIT', 'MANAGE'] : ['VIEW', 'PHI', 'EDIT'],
      })
    }
    if (clinician) await care.grantConsent(scope, { recipientId: nth(ids, k), granteeId: id, purpose: 'TREATMENT', fieldSet: ['givenName', 'familyName', 'phone'] })
  }
}
