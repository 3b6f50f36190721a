/** The database's own names, as the generated client holds them. */
export interface StoredModels {
  readonly models: Readonly<Record<string, StoredModel | undefined>>
  readonly enums: Readonly<Record<string, { readonly values: readonly { readonly dbName?: string | null }[] } | undefined>>
}

export interface StoredModel {
  readonly dbName?: string | null
  readonly schema?: string | null
  readonly fields: readonly StoredField[]
}

export interface StoredField {
  readonly name: string
  readonly dbName?: string | null
  /** `scalar`, `enum`, or `object` for a relation. */
  readonly kind: string
  readonly type: string
}
