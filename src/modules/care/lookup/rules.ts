/** What recipients are found by, and how much an index of it gives away. Pure: it counts, and keeps no value. */
import type { BlindKind } from '../../vault/contract.ts'

export const lookupFields = ['mrn', 'nationalId', 'phone', 'name'] as const
export type LookupField = (typeof lookupFields)[number]

export const kindOf: Readonly<Record<LookupField, BlindKind>> = { mrn: 'identifier', nationalId: 'identifier', phone: 'phone', name: 'name' }

/** A record as it was sealed. */
export type Opened = Readonly<Record<string, unknown>>

/** What a record is found by. Only recipients have names in the index. */
export function valueOf(field: LookupField, record: Opened): string | null {
  const parts = field === 'name' ? [record['givenName'], record['familyName']] : [record[field]]
  const text = parts.filter((part) => typeof part === 'string').join(' ')
  return text === '' ? null : text
}

export const risks = ['LOW', 'MEDIUM', 'HIGH'] as const
export type Risk = (typeof risks)[number]

export interface Measure {
  readonly records: number
  readonly filled: number
  readonly distinct: number
  readonly topCount: number
}

/** Counts normalised values, each record with its own once: a name's words are several. */
export function measure(values: readonly (readonly string[])[]): Measure {
  const counts = new Map<string, number>()
  for (const words of values) for (const word of new Set(words)) counts.set(word, (counts.get(word) ?? 0) + 1)
  return {
    records: values.length,
    filled: values.filter((words) => words.length > 0).length,
    distinct: counts.size,
    topCount: Math.max(0, ...counts.values()),
  }
}

/**
 * LOW: hardly two records share a value, so equal tokens tell next to nothing. HIGH: some value is so frequent that whoever knows how
 * frequent values are in the population can tell which it is.
 */
export function riskOf({ filled, distinct, topCount }: Measure): Risk {
  if (filled === 0 || (topCount <= 2 && distinct >= filled * 0.95)) return 'LOW'
  return topCount >= 5 && topCount >= filled * 0.02 ? 'HIGH' : 'MEDIUM'
}

export function noteOf(field: LookupField, measured: Measure): string {
  const { records, filled, distinct, topCount } = measured
  const share = filled === 0 ? 0 : Math.round((topCount / filled) * 1_000) / 10
  const counted = `${field}: ${filled} of ${records} records have a value, ${distinct} differ, and ${topCount} share the most frequent (${share} %).`
  const learns = {
    LOW: 'Whoever reads the index without its key learns hardly more than which records are there.',
    MEDIUM: 'Whoever reads the index without its key learns which records share a value, and how often it occurs.',
    HIGH: 'Whoever reads the index without its key, and knows how frequent values are, can tell the most frequent ones.',
  }
  return `${counted} ${learns[riskOf(measured)]}`
}
