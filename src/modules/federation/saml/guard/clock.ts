/** Instants of messages against our clock. */
import { readInstant } from './shape/values.ts'
import { attributeOf, type XmlElement } from './xml/tree.ts'

/** How far two clocks may differ. */
export const skewMs = 60_000

/** How old a message may be when it reaches us: a browser carries it at once. */
export const mostAgeMs = 10 * 60_000

/** An instant in an attribute; null when there is none. Its form was checked with the shape. */
export function instantOf(element: XmlElement, local: string): Date | null {
  const value = attributeOf(element, local)
  return value === null ? null : readInstant(value)
}

export const isFuture = (at: Date, now: Date) => at.getTime() > now.getTime() + skewMs
/** NotOnOrAfter: the instant itself is already too late. */
export const isOver = (end: Date, now: Date) => now.getTime() >= end.getTime() + skewMs
export const isStale = (issued: Date, now: Date) => now.getTime() > issued.getTime() + mostAgeMs + skewMs
