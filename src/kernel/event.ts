/** Facts that happened. Their payload holds ids and enumerated words only, never PHI. */
import type { z } from 'zod'

export interface EventType<Name extends string = string, Payload = unknown> {
  /** `<module>.<subject>.<past tense>`, for example `care.edge.linked`. */
  readonly name: Name
  readonly payload: z.ZodType<Payload>
}

/** What a handler receives. Delivery is at least once: a handler recognises `eventId` it has seen. */
export interface DeliveredEvent<Payload = unknown> {
  readonly eventId: string
  readonly name: string
  readonly tenantId: string
  readonly actorId: string | null
  readonly requestId: string
  readonly at: Date
  readonly payload: Payload
}

/** Declares an event type of the module whose name its own name starts with. */
export function event<const Name extends string, Payload>(name: Name, payload: z.ZodType<Payload>): EventType<Name, Payload> {
  return { name, payload }
}
