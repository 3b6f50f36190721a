/** One batch of a stream: what is sent, signed and in order. It changes no row; its caller writes down how it went. */
import type { Clock } from '../../../kernel/clock.ts'
import type { Scope } from '../../../kernel/scope.ts'
import type { Egress } from '../../../platform/http/egress.ts'
import type { OutgoingBatch, StreamRow, StreamSender } from '../../../platform/ledger/streams.ts'
import type { Vault } from '../../vault/contract.ts'
import { exportBatch } from '../export.ts'
import type { ExportRepo } from '../repo-export.ts'
import { alarmAfter, signatureOf, waitMs } from './rules.ts'
import { credentialsPlace, type StreamCredentials } from './service.ts'
import { streamFailing } from './contract.ts'

/** Lines of one batch: about half a megabyte. */
const mostLines = 500
const bounds = { maxBytes: 64 * 1024, timeoutMs: 15_000 } as const

export interface SenderParts {
  readonly repo: ExportRepo
  readonly vault: Pick<Vault, 'openSecrets'>
  readonly egress: Pick<Egress, 'post'>
  readonly clock: Clock
}

export function createSender({ repo, vault, egress, clock }: SenderParts): StreamSender {
  return {
    alarmAfter,
    waitMs,

    async next(scope: Scope, row: StreamRow): Promise<OutgoingBatch | null> {
      const batch = await exportBatch(repo, scope, { after: row.cursor, most: mostLines, selection: {}, sealedOnly: true })
      if (batch.lines === 0) return null
      const items = [{ ...credentialsPlace(scope.tenantId), sealed: row.credentials }]
      const [credentials] = (await vault.openSecrets(scope, { items })).values
      return { text: batch.text, from: row.cursor + 1, through: batch.seq, more: !batch.last, credentials: credentials! }
    },

    async send(tenantId: string, row: StreamRow, { text, from, through, credentials }: OutgoingBatch): Promise<string | null> {
      const { secret, token } = JSON.parse(credentials) as StreamCredentials
      const { status } = await egress.post(row.url, text, {
        ...bounds,
        vouched: row.vouched,
        authorities: row.authorities,
        headers: {
          'content-type': 'application/x-ndjson',
          'x-maristan-tenant': tenantId,
          // Whoever got a batch twice knows it by this.
          'x-maristan-batch': `${from}-${through}`,
          'x-maristan-signature': signatureOf(secret, text, clock.nowMs()),
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        },
      })
      return status >= 200 && status < 300 ? null : `it answered ${status}`
    },

    /** Somebody must hear of it: once, when it begins to count as failing. */
    alarm(scope: Scope, failures: number): void {
      scope.unit.record({ action: 'audit.stream_failing', resource: 'AuditStream', resourceId: scope.tenantId, outcome: 'failed', detail: { failures } })
      scope.unit.publish(streamFailing, scope.tenantId, { failures })
    },
  }
}
