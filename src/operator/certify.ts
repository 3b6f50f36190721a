/** Signs what was destroyed, once the audit chain holds the act, and puts the certificate beside the checkpoints outside the database. */
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { Vault } from '../modules/vault/contract.ts'
import { maxTtlMs } from '../platform/crypto/key-cache.ts'
import { urlFor, workerLogin } from '../platform/db/logins.ts'
import { signCertificate, type CertificateBody } from '../platform/ledger/certificate.ts'
import { createCheckpoints } from '../platform/ledger/checkpoint.ts'
import { openSink } from '../platform/ledger/open-sink.ts'
import { auditOf, sealPending } from './audit-batches.ts'
import { backupsHolding } from './backups.ts'
import type { Opened } from './open.ts'
import { operatorCaller } from './operator-scope.ts'

const mostWaits = 300
const waitMs = 100

/** The chain's head once the line of this act has its place in it. @throws when nobody seals */
async function headAfter(opened: Opened, tenantId: string, certificateId: string): Promise<CertificateBody['audit']> {
  const { databaseUrl, loginSecret } = opened.foundation
  const client = new pg.Client({ connectionString: urlFor(workerLogin, databaseUrl, loginSecret) })
  await client.connect()
  try {
    await client.query("select set_config('app.tenant_id', $1, false)", [tenantId])
    for (let waits = 0; waits < mostWaits; waits++) {
      await sealPending(opened)
      const { rows } = await client.query<{ seq: string; hash: string }>(
        `select l.seq, encode(l.row_hash, 'hex') as hash from audit.link l where l.tenant_id = $1 and exists (
           select from audit.event e join audit.link a on a.tenant_id = e.tenant_id and a.event_id = e.id and a.at = e.at
           where e.tenant_id = $1 and e.action in ('subject.erased', 'offboarding.swept') and e.detail ->> 'certificateId' = $2)
         order by l.seq desc limit 1`,
        [tenantId, certificateId],
      )
      if (rows[0]) return { seq: Number(rows[0].seq), hash: rows[0].hash }
      await pause(waitMs)
    }
  } finally {
    await client.end()
  }
  throw new Error('The audit trail is not being sealed, so nothing can be certified yet. Look at maristan audit verify, then repeat.')
}

type Facts = Omit<CertificateBody, 'kind' | 'version' | 'audit' | 'signedAt' | 'memoryUntil' | 'backups'> & {
  readonly backups: Omit<CertificateBody['backups'], 'known'>
  /** What was destroyed is in no backup that was made before this. */
  readonly since: Date
}

/** Signs, anchors the chain and puts the certificate into the sink. @returns its line */
export async function certify(opened: Opened, { since, ...facts }: Facts): Promise<string> {
  const audit = await headAfter(opened, facts.tenant, facts.id)
  const { signer } = auditOf(opened)
  const sink = openSink(opened.config)
  const { databaseUrl, loginSecret } = opened.foundation
  await createCheckpoints({ databaseUrl, loginSecret, log: opened.log, sink, signer: () => signer.current() }).anchor()
  const memoryUntil = new Date(Date.parse(facts.destroyedAt) + maxTtlMs).toISOString()
  const text = signCertificate(signer.current(), {
    kind: 'maristan.certificate',
    version: 1,
    ...facts,
    backups: { ...facts.backups, known: await backupsHolding(opened, { tenantId: facts.tenant, since, until: new Date(facts.backups.madeBefore) }) },
    audit,
    memoryUntil,
    signedAt: new Date().toISOString(),
  })
  await sink.putOnce(`certificates/${facts.tenant}/${facts.id}.json`, `${text}\n`)
  return text
}

/** The signed certificate of a person's erasure: the one there is, or made now. @throws NOT_FOUND */
export async function certifyErasure(opened: Opened, tenantId: string, subjectId: string): Promise<string> {
  const vault = opened.house.made['vault']!.contract as Vault
  const unit = () => opened.foundation.database.unit(operatorCaller(tenantId))
  const found = await unit().command(async (scope) => {
    scope.unit.record({ action: 'certificate.read', resource: 'ErasureCertificate', subjectId, outcome: 'done' })
    return vault.erasure(scope, { subjectId })
  }, workerLogin)
  if (found.document !== null) return found.document
  const { id, keyIds, erasedBy: by, erasedAt, createdAt, backupsUntil } = found
  const document = await certify(opened, {
    about: 'recipient',
    id,
    tenant: tenantId,
    subject: subjectId,
    destroyedAt: erasedAt,
    by,
    keys: keyIds.filter((one) => one.startsWith('subject/')).map((one) => ({ id: one, wrappedBy: keyIds.find((other) => other !== one) })),
    facts: {},
    since: new Date(createdAt),
    backups: { madeBefore: erasedAt, openUntil: backupsUntil, openedBy: keyIds.filter((one) => !one.startsWith('subject/')) },
  })
  await unit().command((scope) => vault.keepCertificate(scope, { id, document }), workerLogin)
  return document
}
