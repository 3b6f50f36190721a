/** Simple types of XML Schema as SAML uses them; each says whether a value is written as it asks. */
export type Value = (value: string) => boolean

export const anything: Value = () => true
export const uri: Value = (value) => /^[^\s<>"{}|\\^`]{1,2048}$/.test(value.trim())
export const ncName: Value = (value) => /^[A-Za-z_][\w.-]{0,255}$/.test(value)
export const base64Text: Value = (value) => /^[A-Za-z0-9+/=\s]+$/.test(value)
export const boolean: Value = (value) => /^(true|false|1|0)$/.test(value.trim())
export const number: Value = (value) => /^\d{1,9}$/.test(value.trim())
export const instant: Value = (value) => readInstant(value) !== null
/** xs:duration: neither negative nor empty. */
export const duration: Value = (value) => durationForm.test(value.trim()) && /\d/.test(value)

const durationForm = /^P(?:\d{1,4}Y)?(?:\d{1,4}M)?(?:\d{1,5}D)?(?:T(?:\d{1,6}H)?(?:\d{1,7}M)?(?:\d{1,9}(?:\.\d+)?S)?)?$/
const dateTime = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/

/** xs:dateTime with a time zone, of a day and a second that exist; null otherwise. Below a millisecond it is cut off. */
export function readInstant(value: string): Date | null {
  const found = dateTime.exec(value.trim())
  if (found === null) return null
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number) as [number, number, number, number, number, number]
  const millisecond = Number((found[7] ?? '').slice(0, 3).padEnd(3, '0'))
  const local = new Date(Date.UTC(year, month - 1, day, hour, minute, second, millisecond))
  // A date that does not exist rolls over into one that does.
  if (local.toISOString().slice(0, 19) !== found[0].slice(0, 19)) return null
  const zone = found[8]!
  if (zone === 'Z') return local
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(4, 6))]
  if (hours > 14 || minutes > 59) return null
  const offsetMs = (hours * 60 + minutes) * 60_000
  return new Date(local.getTime() + (zone.startsWith('-') ? offsetMs : -offsetMs))
}
