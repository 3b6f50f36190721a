/** Lookup's use cases: finding, measuring, switching on, keying anew while everybody works, and erasing. */
import { forbidden, notFound } from '../../../kernel/fault.ts'
import type { Scope } from '../../../kernel/scope.ts'
import { need } from '../../../platform/authorise.ts'
import type { ServiceOf } from '../../../platform/contract.ts'
import type { IndexRun, LookupField as LookupFieldRow } from '../../../platform/db/generated/client.ts'
import { normalised, type Vault } from '../../vault/contract.ts'
import { indexRunning, lookupNotMeasured, lookupOff, maxFound, mrnNotUnique, type Leakage, type lookupMethods } from '../contract-lookup.ts'
import type { CareReach } from '../reach.ts'
import type { IndexWriter } from './index-writer.ts'
import type { LookupRepo } from './repo.ts'
import { kindOf, lookupFields, measure, noteOf, riskOf, valueOf, type LookupField } from './rules.ts'

/** Longer than any command may take: whoever did not know of the run when it wrote has committed by then. */
const settleMs = 20_000
const measuredForMs = 86_400_000
/** Records that a measurement looks at: enough to tell frequencies, few enough for one command. */
const measuredRecords = 20_000
const measuredPage = 250

export interface LookupParts {
  readonly repo: LookupRepo
  readonly writer: IndexWriter
  readonly vault: Vault
  readonly reach: CareReach
  readonly settleMs?: number
}

export function lookupUseCases({ repo, writer, vault, reach, settleMs: settling = settleMs }: LookupParts): ServiceOf<typeof lookupMethods> {
  const onlyOperator = ({ actor }: Scope): void => {
    if (actor.kind !== 'operator') throw forbidden({ permission: 'operator' })
  }
  const note = (scope: Scope, action: string, detail: Record<string, string | number | readonly string[]>): void =>
    scope.unit.record({ action, resource: 'BlindIndex', outcome: 'done', detail })

  const leakageOf = (row: LookupFieldRow): Leakage => {
    const field = row.field as LookupField
    const { state, records, filled, distinct, topCount, measuredAt } = row
    return { field, state, records, filled, distinct, topCount, risk: riskOf(row), note: noteOf(field, row), measuredAt: measuredAt.toISOString() }
  }

  const begin = async (scope: Scope): Promise<void> => {
    if (await repo.lockRun(scope)) throw indexRunning()
    await repo.addRun(scope)
  }

  /** Brings one batch of parties in line; answers the last of them and how many were not. */
  const sweep = async (scope: Scope, cursor: string | null, size: number) => {
    const ids = await repo.partyIds(scope, cursor, size)
    if (ids.length === 0) return null
    // Locked before they are read: what is read then is what was committed.
    await repo.lock(scope, ids)
    const parties = await repo.parties(scope, ids)
    const wanted = await writer.expected(scope, await writer.indexed(scope), await writer.records(scope, parties))
    const spelled = (tokens: readonly { field: string; generation: number; token: string }[]) =>
      tokens.map(({ field, generation, token }) => `${field}/${generation}/${token}`).sort().join()
    const there = Map.groupBy(await repo.tokensOf(scope, ids), ({ partyId }) => partyId)
    let mended = 0
    for (const [at, { id }] of parties.entries()) {
      if (spelled(wanted[at]!) === spelled(there.get(id) ?? [])) continue
      await repo.replace(scope, id, wanted[at]!)
      mended++
    }
    return { last: ids.at(-1)!, many: ids.length, mended }
  }

  const finish = async (scope: Scope, run: IndexRun): Promise<void> => {
    const { destroyed } = await vault.turnLookupGeneration(scope, {})
    await repo.forgetGenerations(scope, destroyed)
    await repo.setState(scope, 'BUILDING', 'ON')
    await repo.changeRun(scope, run.id, { phase: 'DONE', finishedAt: new Date() })
  }

  return {
    async findRecipients(scope, by) {
      need(scope, 'phi:read')
      const [field, value] = Object.entries(by)[0] as [LookupField, string]
      const row = (await repo.fields(scope)).find((one) => one.field === field)
      if (row?.state !== 'ON') throw lookupOff({ field })
      const { answers, generations } = await vault.blind(scope, { values: [{ field, kind: kindOf[field], value }] })
      const tokens = generations.find(({ generation }) => generation === answers)?.tokens[0] ?? []
      const found = answers === null || tokens.length === 0 ? [] : await repo.find(scope, field, answers, tokens, maxFound)
      // To be found by a protected value is to have it read.
      const covered = await reach.covered(scope, found, 'phi:read', 'PHI')
      const recipientIds = found.filter((id) => covered.has(id))
      note(scope, 'recipient.looked_up', { field, found: recipientIds.length })
      for (const id of recipientIds) {
        const detail = { fields: field === 'name' ? ['givenName', 'familyName'] : [field] }
        scope.unit.record({ action: 'phi.found', resource: 'CareRecipient', resourceId: id, subjectId: id, outcome: 'done', detail })
      }
      return { recipientIds }
    },

    async recipientByMrn(scope, { mrn: value }) {
      const { answers, generations } = await vault.blind(scope, { values: [{ field: 'mrn', kind: kindOf.mrn, value }] })
      const tokens = generations.find(({ generation }) => generation === answers)?.tokens[0] ?? []
      const found = await repo.foundByMrn(scope, answers ?? 0, tokens)
      if (!found.isOn) throw lookupOff({ field: 'mrn' })
      const [recipientId, ...others] = found.recipientIds
      if (recipientId === undefined) throw notFound()
      if (others.length > 0) throw mrnNotUnique()
      return { recipientId }
    },

    async measureLeakage(scope) {
      onlyOperator(scope)
      const values = new Map<LookupField, string[][]>(lookupFields.map((field) => [field, []]))
      let seen = 0
      for (let cursor: string | null = null; seen < measuredRecords; ) {
        const ids: string[] = await repo.partyIds(scope, cursor, measuredPage)
        for (const { isRecipient, record } of await writer.records(scope, await repo.parties(scope, ids))) {
          if (!isRecipient || record === null) continue
          seen++
          for (const field of lookupFields) values.get(field)!.push(normalised(kindOf[field], valueOf(field, record) ?? ''))
        }
        if (ids.length < measuredPage) break
        cursor = ids.at(-1)!
      }
      for (const field of lookupFields) await repo.measured(scope, field, measure(values.get(field)!))
      note(scope, 'lookup.measured', { records: seen })
      return { fields: (await repo.fields(scope)).map(leakageOf) }
    },

    async switchOnLookup(scope, { fields }) {
      onlyOperator(scope)
      const rows = new Map((await repo.fields(scope)).map((row) => [row.field, row]))
      for (const field of fields) {
        const row = rows.get(field)
        if (!row || (await repo.ageMs(scope, row.measuredAt)) > measuredForMs) throw lookupNotMeasured({ field })
      }
      await begin(scope)
      const { generations } = await vault.blind(scope, { values: [] })
      if (generations.length === 0) await vault.addLookupGeneration(scope, {})
      await repo.setState(scope, 'MEASURED', 'BUILDING', fields)
      note(scope, 'lookup.switched_on', { fields })
      return { phase: 'BUILDING', done: 0, mended: 0 }
    },

    async rekeyLookup(scope) {
      onlyOperator(scope)
      await begin(scope)
      const { generation } = await vault.addLookupGeneration(scope, {})
      note(scope, 'lookup.rekeying', { generation })
      return { phase: 'BUILDING', done: 0, mended: 0 }
    },

    async indexBatch(scope, { size }) {
      onlyOperator(scope)
      const run = await repo.lockRun(scope)
      if (!run) {
        note(scope, 'lookup.looked', {})
        return { phase: 'DONE', done: 0, mended: 0 }
      }
      const swept = await sweep(scope, run.cursor, size)
      const done = run.done + (swept?.many ?? 0)
      const mended = run.mended + (run.phase === 'VERIFYING' ? (swept?.mended ?? 0) : 0)
      note(scope, 'lookup.indexed', { done, phase: run.phase })
      if (swept !== null) {
        await repo.changeRun(scope, run.id, { cursor: swept.last, done, mended })
        return { phase: run.phase, done, mended }
      }
      // The pass is over. The first that verifies begins when nobody writes any more who does not know of the run.
      if (run.phase === 'BUILDING' && (await repo.ageMs(scope, run.createdAt)) < settling) return { phase: 'SETTLING', done, mended }
      if (run.phase === 'BUILDING' || mended > 0) {
        await repo.changeRun(scope, run.id, { phase: 'VERIFYING', cursor: null, mended: 0 })
        return { phase: 'VERIFYING', done, mended }
      }
      await finish(scope, run)
      return { phase: 'DONE', done, mended }
    },

    async eraseRecipient(scope, { id, backupsUntil }) {
      onlyOperator(scope)
      const certified = await vault.eraseSubject(scope, { subjectId: id, backupsUntil })
      const partyId = await repo.partyOfRecipient(scope, id)
      if (partyId !== null) {
        await repo.lock(scope, [partyId])
        await repo.replace(scope, partyId, [])
      }
      await repo.blank(scope, id)
      scope.unit.record({ action: 'recipient.erased', resource: 'CareRecipient', resourceId: id, subjectId: id, outcome: 'done' })
      return certified
    },
  }
}
