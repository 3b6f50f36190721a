/**
 * The two kinds of resource, and how an attribute is found by its path (RFC 7644 §3.10): names and URNs in any case, sub-attributes after
 * a dot. Lookups go through maps, so that names such as `__proto__` or `constructor` are simply unknown.
 */
import type { ResourceName } from '../engine.ts'
import type { Attribute } from './attribute.ts'
import { commonAttributes, groupAttributes, groupUrn } from './group-schema.ts'
import { enterpriseAttributes, enterpriseUrn, userAttributes, userUrn } from './user-schema.ts'

export interface Extension {
  readonly urn: string
  readonly name: string
  readonly description: string
  readonly attributes: readonly Attribute[]
}

export interface Resource {
  readonly name: ResourceName
  readonly endpoint: string
  readonly description: string
  readonly urn: string
  /** Of the core schema. */
  readonly attributes: readonly Attribute[]
  readonly extensions: readonly Extension[]
}

export const resources: Readonly<Record<ResourceName, Resource>> = {
  User: {
    name: 'User',
    endpoint: '/Users',
    description: 'A person of the directory.',
    urn: userUrn,
    attributes: userAttributes,
    extensions: [
      {
        urn: enterpriseUrn,
        name: 'EnterpriseUser',
        description: 'What an organisation knows of a person.',
        attributes: enterpriseAttributes,
      },
    ],
  },
  Group: {
    name: 'Group',
    endpoint: '/Groups',
    description: 'A group of the directory.',
    urn: groupUrn,
    attributes: groupAttributes,
    extensions: [],
  },
}

/** Where a path leads. `sub` null: the attribute itself. */
export interface Target {
  readonly extension: Extension | null
  readonly attribute: Attribute
  readonly sub: Attribute | null
}

const byName = (attributes: readonly Attribute[]) => new Map(attributes.map((one) => [one.name.toLowerCase(), one]))
const namesOf = new WeakMap<readonly Attribute[], ReadonlyMap<string, Attribute>>()

/** An attribute of a list, by its name in any case. */
export function named(attributes: readonly Attribute[], name: string): Attribute | undefined {
  let names = namesOf.get(attributes)
  if (!names) namesOf.set(attributes, (names = byName(attributes)))
  return names.get(name.toLowerCase())
}

const topAttributes: Readonly<Record<ResourceName, readonly Attribute[]>> = {
  User: [...commonAttributes, ...userAttributes],
  Group: [...commonAttributes, ...groupAttributes],
}

/** The common attributes and those of the core schema. */
export function topOf(resource: ResourceName): readonly Attribute[] {
  return topAttributes[resource]
}

export function extensionOf(resource: ResourceName, urn: string): Extension | undefined {
  return resources[resource].extensions.find((one) => one.urn.toLowerCase() === urn.toLowerCase())
}

/** What follows `urn` and a colon in `path`; null when the path does not begin with it. */
function after(urn: string, path: string): string | null {
  return path.length > urn.length && path[urn.length] === ':' && path.slice(0, urn.length).toLowerCase() === urn.toLowerCase()
    ? path.slice(urn.length + 1)
    : null
}

function inList(attributes: readonly Attribute[], extension: Extension | null, path: string): Target | undefined {
  const dot = path.indexOf('.')
  const attribute = named(attributes, dot < 0 ? path : path.slice(0, dot))
  if (!attribute) return undefined
  if (dot < 0) return { extension, attribute, sub: null }
  const sub = named(attribute.subAttributes ?? [], path.slice(dot + 1))
  return sub && { extension, attribute, sub }
}

/** The attribute a path names; undefined when this kind of resource has none such. */
export function resolve(resource: ResourceName, path: string): Target | undefined {
  const { urn, extensions } = resources[resource]
  for (const extension of extensions) {
    const rest = after(extension.urn, path)
    if (rest !== null) return inList(extension.attributes, extension, rest)
  }
  return inList(topOf(resource), null, after(urn, path) ?? path)
}

/** Whether a kind of resource other than this one has the attribute. */
export function isOfAnother(resource: ResourceName, path: string): boolean {
  return Object.values(resources).some(({ name }) => name !== resource && resolve(name, path) !== undefined)
}
