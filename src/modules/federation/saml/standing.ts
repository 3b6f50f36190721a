/** How a connection stands: its state, its certificates and what follows when one of them is used, comes or runs out. Inside commands. */
import type { Clock } from '../../../kernel/clock.ts'
import { staleVersion } from '../../../kernel/fault.ts'
import type { Scope } from '../../../kernel/scope.ts'
import { connectionMoved } from './contract.ts'
import type { MetadataCertificate } from './guard/verdict.ts'
import type { Connection, ConnectionChange, Repo } from './repo.ts'
import { connectionMachine, type ConnectionEvent, warningDays } from './rules.ts'

/** Named by the metadata, or staged by hand and proven by a login: metadata that lags behind must not take the latter away. */
export const inForce: ReadonlySet<string> = new Set(['ACTIVE', 'PINNED'])

const hourMs = 3_600_000
const dueMs = warningDays[0] * 24 * hourMs

export interface Standing {
  /** Moves a connection, with a change beside it. @throws INVALID_TRANSITION, STALE_VERSION */
  move(scope: Scope, connection: Connection, event: ConnectionEvent, change?: ConnectionChange): Promise<void>
  /** A test sign-in went well. */
  passed(scope: Scope, connection: Connection): Promise<void>
  /** A certificate verified a login: one that was staged is in force from now on. */
  verifiedBy(scope: Scope, connection: Connection, fingerprint: string): Promise<void>
  /** The provider's metadata names these certificates now. Those it names no more are retired; staged ones wait on. */
  certificates(scope: Scope, connection: Connection, named: readonly MetadataCertificate[]): Promise<void>
  /** ROTATING while every certificate ends within 30 days, and back when one does not. */
  rotate(scope: Scope, connectionId: string): Promise<void>
}

export function createStanding({ repo, clock }: { repo: Repo; clock: Clock }): Standing {
  const move: Standing['move'] = async (scope, connection, event, change = {}) => {
    const { id, state: from } = connection
    const to = connectionMachine.next(from, event)
    const on = event === 'activate' || event === 'vouch' ? { activatedAt: new Date(clock.nowMs()) } : {}
    if (!(await repo.change(scope, connection, { ...change, ...on, state: to }))) throw staleVersion()
    scope.unit.record({ action: 'saml.connection_moved', resource: 'SsoConnection', resourceId: id, outcome: 'done', detail: { event, from, to } })
    scope.unit.publish(connectionMoved, id, { connectionId: id, from, to })
  }

  const rotate: Standing['rotate'] = async (scope, connectionId) => {
    const connection = await repo.find(scope, connectionId)
    if (!connection) return
    const lasting = connection.certificates.some(({ state, notAfter }) => inForce.has(state) && notAfter.getTime() - clock.nowMs() > dueMs)
    if (!lasting && connectionMachine.can(connection.state, 'expiring')) await move(scope, connection, 'expiring')
    if (lasting && connection.state === 'ROTATING') await move(scope, connection, connection.isEnforced ? 'renewEnforced' : 'renew')
  }

  return {
    move,
    rotate,

    async passed(scope, connection) {
      if (connectionMachine.can(connection.state, 'pass')) await move(scope, connection, 'pass')
    },

    async verifiedBy(scope, { id, certificates }, fingerprint) {
      const used = certificates.find((one) => one.fingerprint === fingerprint)
      if (!used) return
      const now = new Date(clock.nowMs())
      if (used.state === 'STAGED') {
        await repo.changeCertificates(scope, id, [fingerprint], { state: 'PINNED', lastUsedAt: now })
        scope.unit.record({ action: 'saml.certificate_in_force', resource: 'SsoConnection', resourceId: id, outcome: 'done', detail: { fingerprint } })
        await rotate(scope, id)
      } else if (used.lastUsedAt === null || now.getTime() - used.lastUsedAt.getTime() > hourMs) {
        // Once an hour: every login would otherwise write the same row.
        await repo.changeCertificates(scope, id, [fingerprint], { lastUsedAt: now })
      }
    },

    async certificates(scope, connection, named) {
      const { id } = connection
      const wanted = new Set(named.map(({ fingerprint }) => fingerprint))
      const gone = connection.certificates.filter(({ state, fingerprint }) => state === 'ACTIVE' && !wanted.has(fingerprint))
      const back = connection.certificates.filter(({ state, fingerprint }) => state !== 'ACTIVE' && wanted.has(fingerprint))
      const known = new Set(connection.certificates.map(({ fingerprint }) => fingerprint))
      const fresh = named.filter(({ fingerprint }) => !known.has(fingerprint))
      await repo.changeCertificates(scope, id, gone.map(({ fingerprint }) => fingerprint), { state: 'RETIRED' })
      await repo.changeCertificates(scope, id, back.map(({ fingerprint }) => fingerprint), { state: 'ACTIVE' })
      await repo.addCertificates(scope, id, fresh.map(({ pem, fingerprint, notBefore, notAfter }) => ({ pem, fingerprint, notBefore, notAfter })))
      if (gone.length + back.length + fresh.length === 0) return
      const detail = { added: fresh.length + back.length, retired: gone.length }
      scope.unit.record({ action: 'saml.certificates_changed', resource: 'SsoConnection', resourceId: id, outcome: 'done', detail })
      await rotate(scope, id)
    },
  }
}
