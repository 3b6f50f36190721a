/** What the schema's builder left in its extensions of how a field is resolved. */
export const extensionOf = (of: { readonly extensions: object }, name: string): unknown => (of.extensions as Record<string, unknown>)[name]

/** The Prisma model of a type, if it stands for one. */
export const modelOf = (type: { readonly extensions: object }): string | undefined => {
  const model = extensionOf(type, 'pothosPrismaModel')
  return typeof model === 'string' ? model : undefined
}

/** The column that the field answers as it is. */
export const exposedBy = (field: { readonly extensions: object }): string | undefined => {
  const column = extensionOf(field, 'pothosExposedField')
  return typeof column === 'string' ? column : undefined
}

/** The relation that the field answers as it is. */
export const relationBy = (field: { readonly extensions: object }): string | undefined =>
  (extensionOf(field, 'pothosPrismaRelationField') as { name?: string } | undefined)?.name

/** Options of a field or type that change what is answered, or who may have it, beyond the access mark. */
const decisive = ['errors', 'validate', 'skipTypeScopes', 'skipInterfaceScopes', 'runScopesOnType', 'grantScopes', 'unauthorizedResolver']

export function hasDecisiveOptions(of: { readonly extensions: object }): boolean {
  const options = (extensionOf(of, 'pothosOptions') ?? {}) as Record<string, unknown>
  return decisive.some((name) => options[name] !== undefined)
}
