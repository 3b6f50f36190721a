/** Resources as they are shown: schema order, so that the same resource is always the same bytes, with what only the server knows. */
import type { AttributeMap, AttributeValue, Present, ResourceName, Shown } from '../engine.ts'
import type { Attribute } from './attribute.ts'
import { resources } from './resource.ts'

function inOrder(attribute: Attribute, value: AttributeValue): unknown {
  if (Array.isArray(value)) return (value as readonly AttributeValue[]).map((one) => inOrder(attribute, one))
  return attribute.subAttributes ? pick(attribute.subAttributes, value as AttributeMap) : value
}

function pick(attributes: readonly Attribute[], map: AttributeMap): Record<string, unknown> {
  const shown: Record<string, unknown> = {}
  for (const attribute of attributes) {
    const value = Object.hasOwn(map, attribute.name) ? map[attribute.name] : undefined
    if (value !== undefined) shown[attribute.name] = inOrder(attribute, value)
  }
  return shown
}

/** Groups of a user, members of a group; null when they were not loaded. An empty list is unassigned for groups, and said for members. */
function references(resource: ResourceName, { groups, members }: Shown, baseUrl: string): readonly [name: string, values: unknown] | null {
  if (resource === 'User' && groups && groups.length > 0) {
    return ['groups', groups.map(({ id, display }) => ({ value: id, $ref: `${baseUrl}/Groups/${id}`, display, type: 'direct' }))]
  }
  if (resource === 'Group' && members) {
    return ['members', members.map(({ id, display }) => ({ value: id, $ref: `${baseUrl}/Users/${id}`, type: 'User', display }))]
  }
  return null
}

/** `W/"3"`: what ETag, If-Match and meta.version carry. */
export function etagOf(version: number): string {
  return `W/"${version}"`
}

export const present: Present = (resource, shown, baseUrl) => {
  const { urn, endpoint, attributes, extensions } = resources[resource]
  const { id, attributes: stored, createdAt, updatedAt, version } = shown
  const extended = extensions.filter((one) => Object.hasOwn(stored, one.urn))
  const linked = references(resource, shown, baseUrl)
  const core = pick(attributes, linked ? { ...stored, [linked[0]]: linked[1] as AttributeValue } : stored)
  return {
    schemas: [urn, ...extended.map((one) => one.urn)],
    id,
    ...(Object.hasOwn(stored, 'externalId') ? { externalId: stored['externalId'] } : {}),
    ...core,
    ...Object.fromEntries(extended.map((one) => [one.urn, pick(one.attributes, stored[one.urn] as AttributeMap)])),
    meta: {
      resourceType: resource,
      created: createdAt.toISOString(),
      lastModified: updatedAt.toISOString(),
      location: `${baseUrl}${endpoint}/${id}`,
      version: etagOf(version),
    },
  }
}
