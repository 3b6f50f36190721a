/** The contract of audit, twice: in this process, and over the wire against another one. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLog } from '../../platform/http/log.ts'
import { systemClock } from '../../kernel/clock.ts'
import { notFound, forbidden, invalidInput, unauthenticated } from '../../kernel/fault.ts'
import { newId } from '../../kernel/id.ts'
import type { Caller, Plane, Scope } from '../../kernel/scope.ts'
import { Database } from '../../platform/db/database.ts'
import { platformFor, type AnyModule } from '../../platform/module.ts'
import { connectContract } from '../../platform/wire.ts'
import { startChild, type Child } from '../../../test/kit/child.ts'
import { freshDatabase, loginSecret, type TestDatabase } from '../../../test/kit/postgres.ts'
import { permissionsOf, type Role } from '../access/contract.ts'
import { auditMethods, type Audit, type AuditEventView } from './contract.ts'
import { audit as auditModule } from './index.ts'

const tenants = [newId(), newId()] as const
const wireSecret = 'a secret that both ends of the wire of this test share'
let at: TestDatabase
let database: Database
let child: Child

interface Person {
  readonly role: Role
  readonly plane: Plane
  readonly membershipId: string
}
const officer: Person = { role: 'compliance_officer', plane: 'console', membershipId: newId() }
const admin: Person = { role: 'tenant_admin', plane: 'console', membershipId: newId() }
const coordinator: Person = { role: 'care_coordinator', plane: 'console', membershipId: newId() }
const clinician: Person = { role: 'clinician', plane: 'clinician', membershipId: newId() }
const family: Person = { role: 'family', plane: 'consumer', membershipId: newId() }
const otherFamily: Person = { role: 'family', plane: 'consumer', membershipId: newId() }
const mother = newId()
const stranger = newId()

const callerOf = (person: Person | null, tenantId: string = tenants[0]): Caller => ({
  tenantId,
  plane: person?.plane ?? null,
  actor: person
    ? {
        kind: 'member',
        membershipId: person.membershipId,
        identityId: newId(),
        role: person.role,
        sessionId: newId(),
        via: 'password',
        providerOrgId: null,
      }
    : { kind: 'anonymous' },
  permissions: person ? permissionsOf(person.role) : new Set(),
  purpose: person?.plane === 'clinician' ? 'TREATMENT' : null,
  requestId: newId(),
  sourceAddress: '192.0.2.7',
  userAgent: 'suite/1',
})

/** Writes lines the way every caller does: by reading something that is recorded. */
async function leave(caller: Caller, ...entries: { action: string; subjectId?: string; outcome?: 'done' | 'denied' }[]): Promise<void> {
  for (const { action, subjectId = null, outcome = 'done' } of entries) {
    const unit = database.unit(caller)
    await unit.read(async () =>
      unit.record({
        action,
        resource: 'CareRecipient',
        resourceId: subjectId,
        subjectId,
        outcome,
        detail: { fields: ['givenName', 'mrn'], count: 2 },
      }),
    )
  }
}

beforeAll(async () => {
  at = await freshDatabase()
  database = new Database({ url: at.ownerUrl, loginSecret: loginSecret(), preparedStatements: true })
  for (const [recipientId, person] of [[mother, family], [stranger, otherFamily]] as const) {
    await at.owner(`insert into care.recipient (tenant_id, id, phi) values ($1, $2, 'v1|test')`, [tenants[0], recipientId])
    await at.owner(
      `insert into care.party (tenant_id, id, kind, phi, membership_id, recipient_id) values ($1, $2, 'RECIPIENT', 'v1|test', $3, $4)`,
      [tenants[0], newId(), person.membershipId, recipientId],
    )
  }
  await leave(callerOf(clinician), { action: 'phi.read', subjectId: mother }, { action: 'phi.read', subjectId: stranger })
  await leave(callerOf(clinician), { action: 'access.denied', outcome: 'denied' })
  await leave(callerOf(family), { action: 'recipient.updated', subjectId: mother })
  await leave(callerOf(clinician), { action: 'note.read', subjectId: mother })
  await leave(callerOf(admin, tenants[1]), { action: 'tenant.updated' })
  child = await startChild('test/kit/wire-process.ts', {
    WIRE_DATABASE_URL: at.ownerUrl,
    WIRE_LOGIN_SECRET: loginSecret(),
    WIRE_SECRET: wireSecret,
    WIRE_AUDIENCE: 'audit.test',
  })
})
afterAll(async () => {
  await child.end('SIGTERM')
  await database.close()
  await at.drop()
})

const services = { clock: systemClock, log: createLog({ level: 'silent' }) } as never
const waysIn: Record<string, () => Audit> = {
  'in process': () => auditModule.build(platformFor(auditModule as unknown as AnyModule, services) as never, {} as never).contract,
  'over the wire': () =>
    connectContract({
      name: 'audit',
      methods: auditMethods,
      url: `http://127.0.0.1:${child.firstLine}`,
      secret: wireSecret,
      audience: 'audit.test',
      timeoutMs: 25_000,
    }),
}

for (const [way, connect] of Object.entries(waysIn)) {
  describe(way, () => {
    const asked = <T>(person: Person | null, work: (audit: Audit, scope: Scope) => Promise<T>, tenantId?: string): Promise<T> => {
      const unit = database.unit(callerOf(person, tenantId))
      return unit.read(() => work(connect(), unit.scope))
    }
    const actions = (events: readonly AuditEventView[]) => events.map((event) => event.action)
    const trail = async (action: string) => {
      const sql = 'select count(*)::int as n from audit.event where tenant_id = $1 and action = $2'
      return (await at.owner<{ n: number }>(sql, [tenants[0], action]))[0]!.n
    }

    test('an officer reads the tenant’s trail newest first, whole, and another tenant’s not at all', async () => {
      const page = await asked(officer, (audit, scope) => audit.events(scope, { first: 100 }))
      const written = page.events.filter((event) => event.action !== 'audit.read')
      expect(actions(written)).toEqual(['note.read', 'recipient.updated', 'access.denied', 'phi.read', 'phi.read'])
      expect(page.more).toBe(false)
      const [note] = written
      expect(note).toMatchObject({
        actorKind: 'member',
        actorId: clinician.membershipId,
        plane: 'clinician',
        resource: 'CareRecipient',
        subjectId: mother,
        outcome: 'done',
        purpose: 'TREATMENT',
        signInMethod: 'password',
        sourceAddress: '192.0.2.7',
        userAgent: 'suite/1',
        detail: expect.arrayContaining([
          { name: 'fields', value: 'givenName, mrn' },
          { name: 'count', value: '2' },
        ]),
      })
      expect(note!.at).toBeInstanceOf(Date)
      expect(note!.sessionId).not.toBeNull()
      const theirs = await asked(admin, (audit, scope) => audit.events(scope, { first: 100, action: 'tenant.updated' }), tenants[1])
      expect(theirs.events).toHaveLength(1)
    })

    test('every filter narrows, alone and together', async () => {
      const { events: all } = await asked(officer, (audit, scope) => audit.events(scope, { first: 100, actorId: clinician.membershipId }))
      expect(actions(all)).toEqual(['note.read', 'access.denied', 'phi.read', 'phi.read'])
      // Dates are coarser than the database's clock: lines of one millisecond are on the same side.
      const at = all[1]!.at
      const middle = at.toISOString()
      const split = (isWanted: (line: (typeof all)[number]) => boolean) => actions(all.filter(isWanted))
      const sweep: [Partial<Parameters<Audit['events']>[1]>, string[]][] = [
        [{ subjectId: stranger }, ['phi.read']],
        [{ resourceId: mother, action: 'phi.read' }, ['phi.read']],
        [{ outcome: 'denied' }, ['access.denied']],
        [{ resource: 'Nothing' }, []],
        [{ actorId: clinician.membershipId, from: middle }, split((line) => line.at >= at)],
        [{ actorId: clinician.membershipId, to: middle }, split((line) => line.at < at)],
      ]
      for (const [filter, expected] of sweep) {
        const page = await asked(officer, (audit, scope) => audit.events(scope, { first: 100, ...filter }))
        expect(actions(page.events).filter((action) => action !== 'audit.read'), JSON.stringify(filter)).toEqual(expected)
      }
    })

    test('pages follow each other without a gap or a repetition', async () => {
      const seen: string[] = []
      for (let after: string | undefined, more = true; more; ) {
        const page = await asked(officer, (audit, scope) =>
          audit.events(scope, { first: 2, actorId: clinician.membershipId, ...(after ? { after } : {}) }),
        )
        seen.push(...page.events.map((event) => event.id))
        after = page.events.at(-1)?.id
        more = page.more
      }
      expect(seen).toHaveLength(4)
      expect(new Set(seen).size).toBe(4)
    })

    test('family sees who touched their recipient’s record, without the addresses and sessions of staff, but with their own', async () => {
      const { events } = await asked(family, (audit, scope) => audit.accountOfAccess(scope, { recipientId: mother, first: 100 }))
      const clinicians = events.filter((event) => event.actorId === clinician.membershipId)
      expect(actions(clinicians)).toEqual(['note.read', 'phi.read'])
      for (const event of clinicians) expect(event).toMatchObject({ sessionId: null, sourceAddress: null, userAgent: null })
      const own = events.find((event) => event.action === 'recipient.updated')
      expect(own).toMatchObject({ sourceAddress: '192.0.2.7', userAgent: 'suite/1' })
    })

    test('family’s trail holds their own recipient only, whatever they filter by', async () => {
      for (const filter of [{}, { actorId: clinician.membershipId }, { subjectId: mother }, { subjectId: stranger }]) {
        const { events } = await asked(family, (audit, scope) => audit.events(scope, { first: 100, ...filter }))
        for (const event of events) expect(event.subjectId, JSON.stringify(filter)).toBe(mother)
        expect(events.length > 0).toBe(!('subjectId' in filter) || filter.subjectId === mother)
      }
    })

    test('an officer accounts for every recipient; a stranger’s, another tenant’s and nobody’s are not found', async () => {
      const { events } = await asked(officer, (audit, scope) => audit.accountOfAccess(scope, { recipientId: stranger, first: 100 }))
      expect(events.length).toBeGreaterThan(0)
      const attempts: [Person, string, string?][] = [
        [family, stranger],
        [otherFamily, mother],
        [officer, newId()],
        [officer, mother, tenants[1]],
      ]
      for (const [person, recipientId, tenantId] of attempts) {
        const account = asked(person, (audit, scope) => audit.accountOfAccess(scope, { recipientId, first: 10 }), tenantId)
        await expect(account).rejects.toSatisfy(notFound.is)
      }
    })

    test('who may not read the trail is refused, and so is what no list accepts', async () => {
      for (const person of [coordinator, clinician]) {
        await expect(asked(person, (audit, scope) => audit.events(scope, { first: 1 }))).rejects.toSatisfy(forbidden.is)
        const account = asked(person, (audit, scope) => audit.accountOfAccess(scope, { recipientId: mother, first: 1 }))
        await expect(account).rejects.toSatisfy(forbidden.is)
      }
      await expect(asked(null, (audit, scope) => audit.events(scope, { first: 1 }))).rejects.toSatisfy(unauthenticated.is)
      const pages = [{ first: 0 }, { first: 101 }, { first: 1.5 }, { after: "'; --" }]
      const sweep = [...pages, { from: 'yesterday' }, { action: 'a b' }, { outcome: 'DONE' }]
      for (const bad of sweep) {
        const events = asked(officer, (audit, scope) => audit.events(scope, { first: 1, ...bad } as never))
        await expect(events, JSON.stringify(bad)).rejects.toSatisfy(invalidInput.is)
      }
    })

    test('a permission without a role that reaches is not enough', async () => {
      const unit = database.unit({ ...callerOf(coordinator), permissions: new Set(['audit:read']) })
      await expect(unit.read(() => connect().events(unit.scope, { first: 1 }))).rejects.toSatisfy(forbidden.is)
    })

    test('reading the trail leaves a line in it before the answer is there', async () => {
      const before = await trail('audit.read')
      await asked(officer, (audit, scope) => audit.events(scope, { first: 1, outcome: 'denied' }))
      expect(await trail('audit.read')).toBe(before + 1)
      const { events } = await asked(officer, (audit, scope) => audit.events(scope, { first: 1, action: 'audit.read' }))
      expect(events[0]).toMatchObject({ actorId: officer.membershipId, resource: 'AuditEvent', sourceAddress: '192.0.2.7' })
      expect(events[0]!.detail).toContainEqual({ name: 'filters', value: 'outcome' })
    })
  })
}
