/** Streaming's use cases: the officer says where to and sees how it goes; the operator only vouches, and chooses no address. */
import type { Clock } from '../../../kernel/clock.ts'
import { forbidden } from '../../../kernel/fault.ts'
import { memberIdOf, type Scope } from '../../../kernel/scope.ts'
import { need } from '../../../platform/authorise.ts'
import { checked } from '../../../platform/contract.ts'
import { randomToken } from '../../../platform/crypto/hash.ts'
import type { AuditStream } from '../../../platform/db/generated/client.ts'
import type { Vault } from '../../vault/contract.ts'
import type { ExportRepo } from '../repo-export.ts'
import { noStream, streamMethods, type AuditStreams, type StreamState } from './contract.ts'
import type { StreamRepo } from './repo.ts'
import { standingOf } from './rules.ts'

export interface StreamParts {
  readonly repo: StreamRepo
  readonly lines: Pick<ExportRepo, 'head'>
  readonly vault: Pick<Vault, 'sealSecrets' | 'openSecrets'>
  readonly clock: Clock
}

/** What is sealed of a stream. */
export interface StreamCredentials {
  readonly secret: string
  readonly token: string | null
}

export const credentialsPlace = (tenantId: string) => ({ model: 'AuditStream', field: 'credentials', rowId: tenantId })

export function createStreams({ repo, lines, vault, clock }: StreamParts): AuditStreams {
  const mayLook = (scope: Scope): void => {
    if (scope.actor.kind !== 'operator') need(scope, 'audit:export')
  }
  const existing = async (scope: Scope): Promise<AuditStream> => {
    const row = await repo.find(scope)
    if (!row) throw noStream()
    return row
  }
  const shown = async (scope: Scope, row: AuditStream): Promise<StreamState> => ({
    url: row.url,
    standing: standingOf({ failures: row.failures, sent: row.sentAt !== null }),
    cursor: Number(row.cursor),
    head: await lines.head(scope),
    failures: row.failures,
    problem: row.problem,
    sentAt: row.sentAt?.toISOString() ?? null,
    nextAt: row.nextAt.toISOString(),
    vouched: row.vouched,
  })
  // The address stays out of the trail: it may hold what signs us in there.
  const note = (scope: Scope, action: string, detail: Record<string, string | number | boolean> = {}): void =>
    scope.unit.record({ action, resource: 'AuditStream', resourceId: scope.tenantId, outcome: 'done', detail })

  return checked(streamMethods, {
    async setStream(scope, { url, token, authorities, fromNow }) {
      need(scope, 'audit:export')
      const before = await repo.find(scope)
      const same = before?.url === url
      const credentials: StreamCredentials = { secret: randomToken(), token: token ?? null }
      const value = JSON.stringify(credentials)
      const { sealed } = await vault.sealSecrets(scope, { items: [{ ...credentialsPlace(scope.tenantId), value }] })
      const row = await repo.put(scope, {
        url,
        credentials: sealed[0]!,
        authorities: authorities ?? null,
        vouched: same && before.vouched,
        cursor: fromNow ? await lines.head(scope) : same ? before.cursor : 0,
        failures: 0,
        problem: null,
        nextAt: new Date(clock.nowMs()),
        sentAt: same ? before.sentAt : null,
        configuredBy: memberIdOf(scope),
        configuredAt: new Date(clock.nowMs()),
      })
      note(scope, 'audit.stream_set', { from: Number(row.cursor), host: new URL(url).hostname })
      return { ...(await shown(scope, row)), secret: credentials.secret }
    },

    async stopStream(scope) {
      need(scope, 'audit:export')
      await existing(scope)
      const { cursor } = await repo.stop(scope)
      note(scope, 'audit.stream_stopped', { through: Number(cursor) })
      return { cursor: Number(cursor) }
    },

    async streamState(scope) {
      mayLook(scope)
      const row = await repo.find(scope)
      return { state: row && (await shown(scope, row)) }
    },

    async vouchForStream(scope) {
      if (scope.actor.kind !== 'operator') throw forbidden({ permission: 'operator' })
      await existing(scope)
      const row = await repo.vouch(scope, new Date(clock.nowMs()))
      note(scope, 'audit.stream_vouched', { host: new URL(row.url).hostname })
      return shown(scope, row)
    },
  })
}
