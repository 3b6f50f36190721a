/**
 * What the SCIM engine promises to the rest of the module: types only, no I/O. The engine reads and writes no table; it hands over
 * plain values, SQL fragments and lists of membership changes.
 */

export type ResourceName = 'User' | 'Group'

/** A JSON value of a stored attribute. Null never occurs: an attribute without a value is absent (RFC 7643 §2.5). */
export type AttributeValue = string | number | boolean | AttributeMap | readonly AttributeValue[]

/**
 * A stored resource but the server's own members: canonical names, extensions under their whole URN; never `schemas`, `id`, `meta`,
 * `groups`, `members` or `password`.
 */
export interface AttributeMap {
  readonly [name: string]: AttributeValue
}

/** One row of scim.user_value: a value of a multi-valued attribute that equality finds by index. */
export interface IndexedValue {
  /** Canonical, such as `emails.value`. */
  readonly path: string
  /** Folded by the attribute's case rule; at most 1,024 bytes. */
  readonly key: string
}

/** Columns that scim.user keeps beside its ids, times and version. All come from `attributes` alone (schema/columns.ts). */
export interface UserColumns {
  readonly userName: string
  /** NFKC, case-folded; unique in a connection. Column `user_name_key text collate "C"`. */
  readonly userNameKey: string
  /** Column `external_id text collate "C"`. */
  readonly externalId: string | null
  readonly active: boolean
  /** Column `attributes jsonb`. */
  readonly attributes: AttributeMap
  /** Column `search jsonb not null`: the same tree with strings folded by case rule and times in UTC. Filters and sorting read this. */
  readonly search: AttributeMap
  readonly values: readonly IndexedValue[]
}

/** Columns that scim.group keeps beside its ids, times and version. */
export interface GroupColumns {
  readonly displayName: string
  /** Column `display_name_key text collate "C"`. */
  readonly displayNameKey: string
  readonly externalId: string | null
  readonly attributes: AttributeMap
  readonly search: AttributeMap
}

/** A piece of SQL with its values: `new Prisma.Sql(fragment.strings, fragment.values)`; strings are one more than values. */
export interface Fragment {
  readonly strings: readonly string[]
  readonly values: readonly (string | number | boolean)[]
}

/** Whose rows a compiled filter may look at in sub-selects. Both are ids the server chose. */
export interface FilterGround {
  readonly tenantId: string
  readonly connectionId: string
  /** In a list of several kinds an attribute of another kind has no value; else it is refused (RFC 7644 §3.4.2.1). */
  readonly isAmongOthers?: boolean
}

/**
 * One step of what a group's PATCH does to its members, in order. Ids are well-formed, distinct UUIDs of SCIM users; whether they exist
 * in the connection is the caller's check (404 if not).
 */
export type MemberStep =
  | { readonly do: 'add'; readonly userIds: readonly string[] }
  | { readonly do: 'remove'; readonly userIds: readonly string[] }
  /** The members become exactly these. */
  | { readonly do: 'set'; readonly userIds: readonly string[] }
  /** Removes the members for which `where` holds: a condition over `scim.group_member m` joined with its `scim.user u`. */
  | { readonly do: 'removeWhere'; readonly where: Fragment }

/** schema/read-user.ts: a POST or PUT body. With `current` (PUT) an omitted `active` stays as it is, so nobody comes back silently. */
export type ReadUser = (body: unknown, current?: AttributeMap) => UserColumns

/**
 * schema/read-group.ts: a POST or PUT body. `members` null: the body did not assert them, and a PUT leaves them as they are
 * (RFC 7644 §3.5.1 lets the server choose; nobody loses a role by omission). An empty list empties the group.
 */
export type ReadGroup = (body: unknown) => { readonly columns: GroupColumns; readonly members: readonly string[] | null }

/** patch/patch-user.ts: a whole PatchOp message over the stored attributes. Throws and changes nothing, or answers the new columns. */
export type PatchUser = (attributes: AttributeMap, body: unknown) => { readonly columns: UserColumns; readonly changed: boolean }

/** patch/patch-group.ts: like PatchUser; members are never loaded, what to do with them is answered as steps. */
export type PatchGroup = (
  attributes: AttributeMap,
  body: unknown,
) => { readonly columns: GroupColumns; readonly changed: boolean; readonly members: readonly MemberStep[] }

/**
 * filter/compile.ts: a filter as a condition over `scim.user r` or `scim.group r` (alias `r`). True or not true; may be null, so use it
 * in WHERE only. The caller adds tenant and connection. Columns read: r.id, user_name_key, display_name_key, external_id, active, search,
 * version, created_at, updated_at; sub-selects read scim.user_value, scim.group_member, scim.group, scim.user.
 */
export type CompileFilter = (filter: string, resource: ResourceName, ground: FilterGround) => Fragment

/**
 * filter/sort.ts: `sortBy` as one text expression over `r`, null for absent. Postgres' own null order is RFC 7644 §3.4.2.3's: absent
 * last when ascending, first when descending. Break ties by r.id. `column` names the column when the expression is a plain not-null one.
 */
export type CompileSort = (sortBy: string, resource: ResourceName, ground?: Pick<FilterGround, 'isAmongOthers'>) => { readonly expression: Fragment; readonly column: string | null }

/** What a client asked to see (RFC 7644 §3.9). */
export interface Projection {
  /** Whether this top attribute (`members`, `groups`, `emails`...) would be in the answer: what is not wanted need not be loaded. */
  wants(attribute: string): boolean
  /** A resource as `present` made it, cut to what was asked; `returned: always` stays (RFC 7643 §7). */
  cut(resource: Readonly<Record<string, unknown>>): Record<string, unknown>
}

/** schema/projection.ts: query parameters as comma-separated text, or lists as in a .search body. Unknown names select nothing. */
export type ReadProjection = (
  asked: { readonly attributes?: string | readonly string[]; readonly excludedAttributes?: string | readonly string[] },
  resource: ResourceName,
) => Projection

/** What the server adds to a stored resource when it shows it. */
export interface Shown {
  readonly id: string
  readonly attributes: AttributeMap
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly version: number
  /** A user's groups, or a group's members: id and display name. Undefined: not loaded, left out of the answer. */
  readonly groups?: readonly { readonly id: string; readonly display: string }[]
  readonly members?: readonly { readonly id: string; readonly display: string }[]
}

/** schema/present.ts: the resource as JSON in schema order (deterministic bytes), with schemas, id, meta and absolute references. */
export type Present = (resource: ResourceName, shown: Shown, baseUrl: string) => Record<string, unknown>

/** The limits that ServiceProviderConfig tells (RFC 7643 §5, RFC 9865 §4). */
export interface AdvertisedLimits {
  readonly bulkMaxOperations: number
  readonly bulkMaxPayloadBytes: number
  readonly filterMaxResults: number
  readonly defaultPageSize: number
  readonly maxPageSize: number
  readonly cursorTimeoutSeconds: number
  readonly documentationUri?: string
}

/** schema/discovery.ts: documents of RFC 7643 §5 to §7, absolute locations from `baseUrl` (without a slash at its end). */
export interface Discovery {
  serviceProviderConfig(baseUrl: string, limits: AdvertisedLimits): Record<string, unknown>
  resourceTypes(baseUrl: string): readonly Record<string, unknown>[]
  schemas(baseUrl: string): readonly Record<string, unknown>[]
}

/** RFC 7644 §3.12 table 9, and RFC 9865 §3. schema/faults.ts: `scimTypeOf(fault): ScimType | undefined`; the faults' codes are SCIM_*. */
export type ScimType =
  | 'invalidFilter'
  | 'tooMany'
  | 'uniqueness'
  | 'mutability'
  | 'invalidSyntax'
  | 'invalidPath'
  | 'noTarget'
  | 'invalidValue'
  | 'invalidVers'
  | 'sensitive'
  | 'invalidCursor'
  | 'expiredCursor'
  | 'invalidCount'

/** schema/json.ts: the body's text as JSON. More than 32 levels are refused before it is parsed (invalidSyntax). */
export type ReadJson = (text: string) => unknown
