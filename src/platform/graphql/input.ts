/** From GraphQL's inputs to contracts': there an absent value is absent, never null. */

type WithoutNulls<Input> = { [Key in keyof Input]: Exclude<Input[Key], null> }

/** The input's given fields. A field that was sent as null counts as not given. */
export function withoutNulls<Input extends object>(input: Input): WithoutNulls<Input> {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== null)) as WithoutNulls<Input>
}
