/** The database's own names, as the generated client holds them. */
export interface StoredModels {
  readonly models: Readonly<Record<string, StoredModel | undefined>>
}

export interface StoredModel {
  readonly dbName?: string | null
  readonly schema?: string | null
  readonly fields: readonly { readonly name: string; readonly dbName?: string | null }[]
}
