/**
 * The outbox table as delivery sees it: one tenant at a time, inside a unit of work with the worker's login. Events of one
 * aggregate leave in the order in which they were written; one that is locked is somebody else's.
 */
import type { Tx } from '../db/unit.ts'

export interface StoredEvent {
  readonly id: string
  readonly name: string
  readonly aggregateId: string
  readonly payload: unknown
  readonly actorId: string | null
  readonly requestId: string
  readonly at: Date
  /** Tries that failed before. */
  readonly attempts: number
}

/** An event that was given up after its last try. */
export interface ParkedEvent {
  readonly id: string
  readonly name: string
  readonly aggregateId: string
  readonly at: Date
  readonly attempts: number
  readonly parkedAt: Date
  /** Code or name of the last failure, never its message. */
  readonly lastError: string
}

/** Tries before an event is parked. */
export const maxAttempts = 8

/** Seconds until the next try: 1, 4, 16 ... so that the last of eight comes about an hour and a half after the first. */
const backoffBase = 4

/** Due events that wait behind no other of their aggregate, oldest first. A parked event holds nobody up. */
export function dueEvents(tx: Tx, most: number): Promise<{ id: string; requestId: string }[]> {
  return tx.$queryRaw`
    select e.id, e.request_id as "requestId" from outbox.event e
    where e.processed_at is null and e.parked_at is null and e.available_at <= clock_timestamp()
      and not exists (
        select from outbox.event earlier
        where earlier.tenant_id = e.tenant_id and earlier.aggregate_id = e.aggregate_id
          and earlier.processed_at is null and earlier.parked_at is null and (earlier.at, earlier.id) < (e.at, e.id))
    order by e.at, e.id limit ${most}`
}

/**
 * Locks one of them until the transaction ends; null when somebody else has it, or has delivered or failed it meanwhile.
 * Whatever of its aggregate came before it is settled by then, and stays settled.
 */
export async function lockEvent(tx: Tx, id: string): Promise<StoredEvent | null> {
  const rows = await tx.$queryRaw<StoredEvent[]>`
    select id, name, aggregate_id as "aggregateId", payload, actor_id as "actorId", request_id as "requestId", at, attempts
    from outbox.event
    where id = ${id}::uuid and processed_at is null and parked_at is null and available_at <= clock_timestamp()
    for update skip locked`
  return rows[0] ?? null
}

export async function markProcessed(tx: Tx, id: string): Promise<void> {
  await tx.$executeRaw`update outbox.event set processed_at = clock_timestamp() where id = ${id}::uuid`
}

/** Sets aside, at most `most` at once, the events that nobody handles. @returns how many */
export function skipUnhandled(tx: Tx, names: readonly string[], most: number): Promise<number> {
  return tx.$executeRaw`
    update outbox.event set processed_at = clock_timestamp()
    where (tenant_id, id) in (
      select e.tenant_id, e.id from outbox.event e
      where e.processed_at is null and e.parked_at is null and e.available_at <= clock_timestamp() and e.name = any(${[...names]})
      limit ${most} for update skip locked)`
}

/** Counts a failed try and says when the next one is due. @returns whether it was the last one. */
export async function markFailed(tx: Tx, id: string, code: string): Promise<{ parked: boolean }> {
  const rows = await tx.$queryRaw<{ parked: boolean }[]>`
    update outbox.event set
      attempts = attempts + 1,
      last_error = ${code},
      available_at = clock_timestamp() + make_interval(secs => power(${backoffBase}::int, attempts)::float8),
      parked_at = case when attempts + 1 >= ${maxAttempts}::int then clock_timestamp() end
    where id = ${id}::uuid and processed_at is null
    returning parked_at is not null as parked`
  return { parked: rows[0]?.parked ?? false }
}

/** Lets go of every event that names a record, delivered or not: what is erased is told to nobody any more. @returns how many */
export function forgetEventsAbout(tx: Tx, id: string): Promise<number> {
  return tx.$executeRaw`delete from outbox.event where aggregate_id = ${id}::uuid or payload::text like ${`%${id}%`}`
}

/** Given-up events, the latest first. */
export function listParked(tx: Tx, most: number): Promise<ParkedEvent[]> {
  return tx.$queryRaw<ParkedEvent[]>`
    select id, name, aggregate_id as "aggregateId", at, attempts, parked_at as "parkedAt", coalesce(last_error, '') as "lastError"
    from outbox.event where parked_at is not null order by parked_at desc, id limit ${most}`
}

/** Deletes events that were processed more than `days` ago. @returns how many, at most `most` */
export function purgeProcessed(tx: Tx, days: number, most: number): Promise<number> {
  return tx.$executeRaw`
    delete from outbox.event where (tenant_id, id) in (
      select tenant_id, id from outbox.event
      where processed_at < clock_timestamp() - make_interval(days => ${days}::int) limit ${most})`
}

export async function hasPurgeable(tx: Tx, days: number): Promise<boolean> {
  const rows = await tx.$queryRaw<{ some: boolean }[]>`
    select exists(select from outbox.event where processed_at < clock_timestamp() - make_interval(days => ${days}::int)) as some`
  return rows[0]!.some
}
