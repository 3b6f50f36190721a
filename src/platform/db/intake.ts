/**
 * What is written along with every command: its audit rows and its outbox rows, in its own transaction and in one round trip with its
 * end. The platform writes these two insert-only tables so that no module can forget to, and no change commits without a trace.
 */
import { newId } from '../../kernel/id.ts'
import type { AuditEntry } from '../../kernel/audit-entry.ts'
import type { EventType } from '../../kernel/event.ts'
import type { Actor, Caller } from '../../kernel/scope.ts'
import type { Prelude } from './group-query.ts'

export interface PublishedEvent {
  readonly type: EventType
  readonly aggregateId: string
  readonly payload: unknown
}

/** More than this in one command is a mistake in the code, not a big day. */
const maxRows = 10_000

function actorIdOf(actor: Actor): string | null {
  if (actor.kind === 'member') return actor.membershipId
  if (actor.kind === 'integration') return actor.tokenId
  return actor.kind === 'directory' ? actor.connectionId : null
}

const ofTheUnit = 'tenant_id, plane, purpose, request_id, source_address, user_agent'
const ofTheAct = 'actor_kind, actor_id, action, resource, outcome, session_id, sign_in_method, detail'
const unitValues = "nullif(current_setting('app.tenant_id', true), '')::uuid, $1::text, $2::text, $3::text, $4::text, $5::text"

// Arrays, not a document: rows out of JSON cost Postgres a third more.
const addEach = `insert into audit.event (${ofTheUnit}, id, resource_id, subject_id, ${ofTheAct})
  select ${unitValues}, r.* from unnest($6::uuid[], $7::uuid[], $8::uuid[], $9::text[], $10::uuid[], $11::text[], $12::text[], $13::text[],
    $14::uuid[], $15::text[], $16::jsonb[]) as r`

/** What most commands leave. Plain values: a function scan over lists of one costs Postgres a tenth of a small command. */
const addOne = `insert into audit.event (${ofTheUnit}, id, resource_id, subject_id, ${ofTheAct})
  values (${unitValues}, $6::uuid, $7::uuid, $8::uuid, $9::text, $10::uuid, $11::text, $12::text, $13::text, $14::uuid, $15::text, $16::jsonb)`

/** One act on many records: a page of protected ones that was read. */
const addAlike = `insert into audit.event (${ofTheUnit}, id, resource_id, subject_id, ${ofTheAct})
  select ${unitValues}, r.*, $9::text, $10::uuid, $11::text, $12::text, $13::text, $14::uuid, $15::text, $16::jsonb
  from unnest($6::uuid[], $7::uuid[], $8::uuid[]) as r`

/** The statement that inserts the audit rows of one transaction. `at` is the database's clock. @throws beyond the bound, or without a row. */
export function auditStatement(caller: Caller, entries: readonly AuditEntry[]): Prelude {
  if (entries.length === 0) throw new Error('A command recorded nothing in the audit trail.')
  if (entries.length > maxRows) throw new Error(`One unit of work recorded ${entries.length} audit rows; the bound is ${maxRows}.`)
  const { plane, purpose, requestId, sourceAddress, userAgent } = caller
  const unit = [plane, purpose, requestId, sourceAddress, userAgent]
  const rows = [
    entries.map(() => newId()),
    entries.map(({ resourceId }) => resourceId ?? null),
    entries.map(({ subjectId }) => subjectId ?? null),
  ]
  const [first, ...others] = entries.map((entry) => actOf(caller, entry))
  if (others.length === 0) return { text: addOne, values: [...unit, ...rows.map(([one]) => one), ...first!] }
  if (others.every((act) => act.every((value, at) => value === first![at]))) return { text: addAlike, values: [...unit, ...rows, ...first!] }
  const acts = [first!, ...others]
  return { text: addEach, values: [...unit, ...rows, ...first!.map((_, at) => acts.map((act) => act[at]!))] }
}

/** The values of `ofTheAct`, in its order. */
function actOf({ actor }: Caller, entry: AuditEntry): readonly (string | null)[] {
  const own = actor.kind === 'member' ? actor : null
  const method = own?.via ?? (actor.kind === 'integration' ? 'api-token' : null)
  return [
    entry.actor ? 'member' : actor.kind,
    entry.actor?.id ?? actorIdOf(actor),
    entry.action,
    entry.resource,
    entry.outcome,
    entry.actor?.sessionId ?? own?.sessionId ?? null,
    entry.actor?.via ?? method,
    JSON.stringify(entry.detail ?? {}),
  ]
}

const addEvents = `insert into outbox.event (tenant_id, id, name, aggregate_id, payload, actor_id, request_id)
  select nullif(current_setting('app.tenant_id', true), '')::uuid, r.*
  from jsonb_to_recordset($1::jsonb) as r(id uuid, name text, aggregate_id uuid, payload jsonb, actor_id uuid, request_id text)`

/** Leaves with the commit and wakes whoever delivers. */
const notify: Prelude = { text: "select pg_notify('maristan_outbox', '')", values: [] }

/**
 * The statements that insert the outbox rows of one transaction; none without events.
 * @param unheard events that nobody handles: they wake nobody, and are set aside when somebody looks. @throws beyond the bound.
 */
export function outboxStatements(caller: Caller, events: readonly PublishedEvent[], unheard: ReadonlySet<string>): Prelude[] {
  if (events.length === 0) return []
  if (events.length > maxRows) throw new Error(`One unit of work published ${events.length} events; the bound is ${maxRows}.`)
  const rows = events.map(({ type, aggregateId, payload }) => ({
    id: newId(),
    name: type.name,
    aggregate_id: aggregateId,
    payload,
    actor_id: actorIdOf(caller.actor),
    request_id: caller.requestId,
  }))
  const added = { text: addEvents, values: [JSON.stringify(rows)] }
  return events.every(({ type }) => unheard.has(type.name)) ? [added] : [added, notify]
}
