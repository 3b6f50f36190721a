/**
 * Where the values of an attribute stand in SQL. The row is `r`; stored attributes are read from `r.search`, which is folded already, what
 * the server adds from columns and from the tables of memberships. All names in the SQL come from the schema, never from a client.
 */
import type { FilterGround, Fragment, ResourceName } from '../engine.ts'
import { invalidFilter } from '../schema/faults.ts'
import { enterpriseUrn } from '../schema/user-schema.ts'
import { resources, type Target } from '../schema/resource.ts'
import { sql } from './fragment.ts'

/** A string constant of the schema as SQL. */
function constant(text: string): Fragment {
  return { strings: [`'${text.replaceAll("'", "''")}'`], values: [] }
}

/** A member of a jsonb value, as jsonb or as text. */
const member = (of: Fragment, name: string): Fragment => sql`${of}->${constant(name)}`
const textMember = (of: Fragment, name: string): Fragment => sql`(${of}->>${constant(name)})`

/** Several values: rows of `source`, and in it what a sub-attribute reads (null: the value itself). */
export interface Many {
  readonly source: Fragment
  part(name: string | null): Fragment
}

const unfilterable = (name: string) => invalidFilter({ detail: `${name} cannot be filtered.` })

/** Text of what the server knows; null for what is stored. */
export function ownText(resource: ResourceName, { extension, attribute, sub }: Target): Fragment | null {
  const path = `${attribute.name}${sub ? `.${sub.name}` : ''}`
  if (extension) return null
  switch (path) {
    case 'id':
      return sql`r.id::text`
    case 'externalId':
      return sql`r.external_id`
    case 'userName':
      return sql`r.user_name_key`
    case 'displayName':
      return resource === 'Group' ? sql`r.display_name_key` : null
    case 'meta.resourceType':
      return sql`${constant(resource)}::text`
    case 'meta.version':
      return sql`('W/"' || r.version || '"')`
    case 'meta.location':
    case 'password':
      throw unfilterable(path)
    default:
      return null
  }
}

/** The column of a time; only the server has times. */
export function timeColumn({ sub }: Target): Fragment {
  return sub?.name === 'created' ? sql`r.created_at` : sql`r.updated_at`
}

/** A single stored value: its text, or for a complex one the jsonb. */
export function single({ extension, attribute, sub }: Target): { readonly text: Fragment; readonly json: Fragment } {
  const root = extension ? member(sql`r.search`, extension.urn) : sql`r.search`
  if (!sub) return { text: textMember(root, attribute.name), json: sql`(${member(root, attribute.name)})` }
  const top = member(root, attribute.name)
  return { text: textMember(top, sub.name), json: sql`(${member(top, sub.name)})` }
}

function parts(named: Readonly<Record<string, Fragment>>, attribute: string): Many['part'] {
  return (name) => {
    const found = new Map(Object.entries(named)).get(name ?? 'value')
    if (!found) throw unfilterable(`${attribute}.${name}`)
    return found
  }
}

/** The groups of a user, the members of a group: not stored with them. */
function memberships(resource: ResourceName, { tenantId }: FilterGround): Many {
  const inside = sql`m.tenant_id = ${tenantId}::uuid`
  if (resource === 'User') {
    return {
      source: sql`scim.group_member m join scim."group" g on g.tenant_id = m.tenant_id and g.id = m.group_id
        where ${inside} and m.user_id = r.id`,
      part: parts({ value: sql`m.group_id::text`, display: sql`g.display_name_key`, type: sql`'direct'::text` }, 'groups'),
    }
  }
  return {
    source: sql`scim.group_member m join scim."user" u on u.tenant_id = m.tenant_id and u.id = m.user_id
      where ${inside} and m.group_id = r.id`,
    part: memberPart,
  }
}

/** A member's parts, over `scim.group_member m` and its `scim.user u`. */
export const memberPart = parts(
  {
    value: sql`m.user_id::text`,
    display: sql`coalesce(u.search->>'displayName', u.user_name_key)`,
    type: sql`'user'::text`,
  },
  'members',
)

/** The values of a multi-valued attribute. */
export function many(resource: ResourceName, { extension, attribute }: Target, ground: FilterGround): Many {
  if (attribute.name === 'groups' || attribute.name === 'members') return memberships(resource, ground)
  if (attribute.name === 'schemas') {
    const own = constant(resources[resource].urn)
    const extended = sql`${member(sql`r.search`, enterpriseUrn)} is not null`
    const more = sql`case when ${extended} then array[${own}, ${constant(enterpriseUrn)}] else array[${own}] end`
    return { source: sql`unnest(${more}) e(v) where true`, part: () => sql`e.v` }
  }
  const list = member(extension ? member(sql`r.search`, extension.urn) : sql`r.search`, attribute.name)
  return {
    source: sql`jsonb_array_elements(${list}) e(v) where true`,
    part: (name) => (name === null ? sql`(e.v #>> '{}')` : textMember(sql`e.v`, name)),
  }
}
