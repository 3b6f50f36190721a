/** Care's use cases about recipients; those about the people around them are the circle's. */
import { invalidInput, notFound, staleVersion } from '../../kernel/fault.ts'
import { newId } from '../../kernel/id.ts'
import { memberIdOf, type Scope } from '../../kernel/scope.ts'
import { need } from '../../platform/authorise.ts'
import { checked } from '../../platform/contract.ts'
import { isUniqueViolation } from '../../platform/db/errors.ts'
import type { CareRecipient } from '../../platform/db/generated/client.ts'
import { circleUseCases, type CareParts } from './circle/service.ts'
import type { DisclosureRepo } from './disclosure/repo.ts'
import { disclosureUseCases } from './disclosure/service.ts'
import { lookupUseCases, type LookupParts } from './lookup/service.ts'
import {
  alreadyRecipient,
  careMethods,
  recipientArchived,
  recipientCreated,
  type Care,
  type PhiField,
  type RecipientView,
} from './contract.ts'
import { reachOf } from './reach.ts'
import { birthYearOf, linkRefused, recipientMachine } from './rules.ts'

const shown = (row: CareRecipient): RecipientView => {
  const { id, state, preferredLocale, areaGeohash5, birthYear, version } = row
  return { id, state, preferredLocale, areaGeohash5, birthYear, version }
}

export function createCare(parts: CareParts & { readonly lookup: LookupParts; readonly disclosures: DisclosureRepo }): Care {
  const { repo, circle, reach, seals, vault, clock, lookup } = parts

  const existing = async (scope: Scope, id: string): Promise<CareRecipient> => {
    const row = await repo.findRecipient(scope, id)
    if (!row) throw notFound()
    return row
  }

  /** The row as the caller read it, open to change. */
  const changeable = async (scope: Scope, permission: 'recipient:update' | 'phi:write', id: string, version: number) => {
    const row = await existing(scope, id)
    await reach.need(scope, permission, id)
    if (row.state === 'ARCHIVED') throw recipientArchived()
    if (row.version !== version) throw staleVersion()
    return row
  }

  const refuseFutureBirth = (birthDate: string | undefined): void => {
    // Somewhere on earth it is already tomorrow.
    const latest = new Date(clock.nowMs() + 24 * 3_600_000).toISOString()
    if (birthDate === undefined || birthDate <= latest) return
    throw invalidInput({ issues: [{ path: 'birthDate', message: 'lies in the future' }] })
  }

  const note = (scope: Scope, action: string, id: string, fields?: readonly string[]): void =>
    scope.unit.record({
      action,
      resource: 'CareRecipient',
      resourceId: id,
      subjectId: id,
      outcome: 'done',
      ...(fields ? { detail: { fields } } : {}),
    })

  return checked(careMethods, {
    ...circleUseCases(parts),
    ...lookupUseCases(lookup),
    ...disclosureUseCases(parts),

    async recipient(scope, { id }) {
      need(scope, 'recipient:read')
      const row = await existing(scope, id)
      await reach.need(scope, 'recipient:read', id)
      return shown(row)
    },

    async createRecipient(scope, { preferredLocale, areaGeohash5, membershipId: named, ...phi }) {
      need(scope, 'recipient:create')
      const forOneself = reachOf(scope, 'recipient:create') !== 'T'
      if (forOneself && named !== undefined) throw linkRefused({ reason: 'Which member a recipient is, a care coordinator says.' })
      refuseFutureBirth(phi.birthDate)
      const createdBy = memberIdOf(scope)
      const id = newId()
      const partyId = newId()
      await vault.createSubjects(scope, { subjectIds: [id] })
      const row = await repo.addRecipient(scope, {
        id,
        phi: await seals.seal(scope, 'CareRecipient', { id, subjectId: id }, phi),
        birthYear: birthYearOf(phi.birthDate),
        createdBy,
        ...(preferredLocale ? { preferredLocale } : {}),
        ...(areaGeohash5 ? { areaGeohash5 } : {}),
      })
      await circle
        .addParty(scope, {
          id: partyId,
          kind: 'RECIPIENT',
          // Empty, and sealed with the recipient's key: its name is hers.
          phi: await seals.seal(scope, 'CareParty', { id: partyId, subjectId: id }, {}),
          recipientId: id,
          membershipId: forOneself ? createdBy : (named ?? null),
          createdBy,
        })
        .catch((error: unknown) => {
          throw isUniqueViolation(error) ? alreadyRecipient() : error
        })
      await lookup.writer.write(scope, async () => partyId, true, phi)
      note(scope, 'recipient.created', id, Object.keys(phi))
      scope.unit.publish(recipientCreated, id, { recipientId: id })
      return { ...shown(row), partyId }
    },

    async updateRecipient(scope, { id, version, ...changes }) {
      need(scope, 'recipient:update')
      await changeable(scope, 'recipient:update', id, version)
      const changed = await repo.changeRecipient(scope, { id, version }, changes)
      if (!changed) throw staleVersion()
      note(scope, 'recipient.updated', id, Object.keys(changes))
      return shown(changed)
    },

    async updatePhi(scope, { id, version, clear = [], ...given }) {
      need(scope, 'phi:write')
      refuseFutureBirth(given.birthDate)
      const row = await changeable(scope, 'phi:write', id, version)
      const kept = Object.entries(await seals.openRecipient(scope, row)).filter(([name]) => !clear.includes(name as PhiField))
      const merged = { ...Object.fromEntries(kept), ...given }
      const birthDate = 'birthDate' in merged ? String(merged.birthDate) : undefined
      // The version in the condition decides between two who opened the same envelope.
      const changed = await repo.changeRecipient(
        scope,
        { id, version },
        { phi: await seals.seal(scope, 'CareRecipient', { id, subjectId: id }, merged), birthYear: birthYearOf(birthDate) },
      )
      if (!changed) throw staleVersion()
      await lookup.writer.write(scope, () => lookup.repo.partyOfRecipient(scope, id), true, merged)
      note(scope, 'recipient.phi_updated', id, [...new Set([...Object.keys(given), ...clear])])
      return shown(changed)
    },

    async archiveRecipient(scope, { id, version }) {
      need(scope, 'recipient:archive')
      const row = await existing(scope, id)
      if (row.version !== version) throw staleVersion()
      const changed = await repo.changeRecipient(scope, { id, version }, { state: recipientMachine.next(row.state, 'archive') })
      if (!changed) throw staleVersion()
      note(scope, 'recipient.archived', id)
      return shown(changed)
    },

    async openRecord(scope, { recipientId, fields: asked }) {
      const row = await existing(scope, recipientId)
      const record = await seals.openRecipient(scope, row)
      const fields = Object.fromEntries(asked.flatMap((name) => (typeof record[name] === 'string' ? [[name, record[name]]] : [])))
      scope.unit.record({
        action: 'phi.read',
        resource: 'CareRecipient',
        resourceId: recipientId,
        subjectId: recipientId,
        outcome: 'done',
        detail: { fields: asked },
      })
      return { fields }
    },

    async mayReach(scope, { recipientIds, permission, capability }) {
      return { recipientIds: [...(await reach.covered(scope, recipientIds, permission, capability))] }
    },
  })
}
