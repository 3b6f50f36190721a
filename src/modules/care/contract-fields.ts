/** Care, the protected fields: what of a recipient is sealed, and what a value of each looks like. */
import { z } from 'zod'
import { line } from '../../platform/contract.ts'

export const sexes = ['FEMALE', 'MALE', 'OTHER', 'UNKNOWN'] as const

/** ISO 8601 calendar date; whether it lies in the future the service tells. */
const birthDate = z
  .string()
  .regex(/^\d{4}-\d\d-\d\d$/, 'is not a date of the form 1941-03-27')
  .refine((text) => text >= '1850' && new Date(`${text}T00:00:00Z`).toJSON()?.startsWith(text), 'is not a day of the calendar since 1850')
export const phone = z
  .string()
  .trim()
  .regex(/^\+?[0-9][0-9 ().-]{2,30}$/, 'is not a telephone number: digits, spaces, hyphens and a leading + only')

/** What is sealed. Names in any script; Arabic with its marks, NFC. */
export const phi = z.object({
  givenName: line(120),
  familyName: line(120).optional(),
  birthDate: birthDate.optional(),
  sex: z.enum(sexes).optional(),
  mrn: line(64).optional(),
  nationalId: line(64).optional(),
  phone: phone.optional(),
  address: line(300).optional(),
})
export const phiFields = phi.keyof().options
export type PhiField = (typeof phiFields)[number]
export type Phi = z.output<typeof phi>
