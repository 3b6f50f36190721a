/** What a schema says of an attribute (RFC 7643 §2.2 and §7), and short ways to write it down. Defaults are those of §2.2. */

export interface Attribute {
  readonly name: string
  readonly type: 'string' | 'boolean' | 'dateTime' | 'binary' | 'reference' | 'complex'
  readonly multiValued: boolean
  readonly description: string
  readonly required: boolean
  readonly caseExact: boolean
  readonly mutability: 'readOnly' | 'readWrite' | 'immutable' | 'writeOnly'
  readonly returned: 'always' | 'never' | 'default' | 'request'
  readonly uniqueness: 'none' | 'server' | 'global'
  readonly canonicalValues?: readonly string[]
  readonly referenceTypes?: readonly string[]
  readonly subAttributes?: readonly Attribute[]
}

type Extra = Partial<Omit<Attribute, 'name' | 'description' | 'type'>>

const attribute = (name: string, type: Attribute['type'], description: string, extra: Extra): Attribute => ({
  name,
  type,
  multiValued: false,
  description,
  required: false,
  caseExact: false,
  mutability: 'readWrite',
  returned: 'default',
  uniqueness: 'none',
  ...extra,
})

export const text = (name: string, description: string, extra: Extra = {}) => attribute(name, 'string', description, extra)
export const truth = (name: string, description: string, extra: Extra = {}) => attribute(name, 'boolean', description, extra)
export const time = (name: string, description: string, extra: Extra = {}) => attribute(name, 'dateTime', description, extra)
/** Binary and reference values are always case-exact (RFC 7643 §2.3.6, §2.3.7). */
export const binary = (name: string, description: string) => attribute(name, 'binary', description, { caseExact: true })
export const reference = (name: string, referenceTypes: readonly string[], description: string, extra: Extra = {}) =>
  attribute(name, 'reference', description, { caseExact: true, referenceTypes, ...extra })
export const complex = (name: string, description: string, subAttributes: readonly Attribute[], extra: Extra = {}) =>
  attribute(name, 'complex', description, { ...extra, subAttributes })

const primary = truth('primary', 'Whether this is the preferred value; true at most once.')

/** A multi-valued attribute with the sub-attributes of RFC 7643 §2.4. */
export const values = (name: string, description: string, value: Attribute, types: readonly string[] = []) =>
  complex(
    name,
    description,
    [
      value,
      text('display', 'A name for showing.'),
      text('type', 'What the value is used for.', types.length > 0 ? { canonicalValues: types } : {}),
      primary,
    ],
    { multiValued: true },
  )

export { primary }
