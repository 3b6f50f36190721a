/** The three discovery documents (RFC 7643 §5 to §7, RFC 9865 §4), from the same definitions that requests are checked with. */
import type { AdvertisedLimits, Discovery } from '../engine.ts'
import type { Attribute } from './attribute.ts'
import { resources, type Resource } from './resource.ts'

const schemasUrn = 'urn:ietf:params:scim:schemas:core:2.0'

/** An attribute as RFC 7643 §7 writes it: `caseExact` and `uniqueness` only where they mean something. */
function describeAttribute(attribute: Attribute): Record<string, unknown> {
  const { name, type, multiValued, description, required, caseExact, mutability, returned, uniqueness } = attribute
  const textual = type === 'string' || type === 'reference' || type === 'binary'
  return {
    name,
    type,
    ...(attribute.subAttributes ? { subAttributes: attribute.subAttributes.map(describeAttribute) } : {}),
    multiValued,
    description,
    required,
    ...(attribute.canonicalValues ? { canonicalValues: attribute.canonicalValues } : {}),
    ...(textual ? { caseExact } : {}),
    mutability,
    returned,
    ...(textual ? { uniqueness } : {}),
    ...(attribute.referenceTypes ? { referenceTypes: attribute.referenceTypes } : {}),
  }
}

function schema(baseUrl: string, id: string, name: string, description: string, attributes: readonly Attribute[]): Record<string, unknown> {
  return {
    schemas: [`${schemasUrn}:Schema`],
    id,
    name,
    description,
    attributes: attributes.map(describeAttribute),
    meta: { resourceType: 'Schema', location: `${baseUrl}/Schemas/${id}` },
  }
}

function resourceType(baseUrl: string, { name, endpoint, description, urn, extensions }: Resource): Record<string, unknown> {
  return {
    schemas: [`${schemasUrn}:ResourceType`],
    id: name,
    name,
    endpoint,
    description,
    schema: urn,
    ...(extensions.length > 0 ? { schemaExtensions: extensions.map((one) => ({ schema: one.urn, required: false })) } : {}),
    meta: { resourceType: 'ResourceType', location: `${baseUrl}/ResourceTypes/${name}` },
  }
}

function serviceProviderConfig(baseUrl: string, limits: AdvertisedLimits): Record<string, unknown> {
  return {
    schemas: [`${schemasUrn}:ServiceProviderConfig`],
    ...(limits.documentationUri ? { documentationUri: limits.documentationUri } : {}),
    patch: { supported: true },
    bulk: { supported: true, maxOperations: limits.bulkMaxOperations, maxPayloadSize: limits.bulkMaxPayloadBytes },
    filter: { supported: true, maxResults: limits.filterMaxResults },
    changePassword: { supported: false },
    sort: { supported: true },
    etag: { supported: true },
    pagination: {
      cursor: true,
      index: true,
      defaultPaginationMethod: 'index',
      defaultPageSize: limits.defaultPageSize,
      maxPageSize: limits.maxPageSize,
      cursorTimeout: limits.cursorTimeoutSeconds,
    },
    authenticationSchemes: [
      {
        type: 'oauthbearertoken',
        name: 'Bearer token',
        description: 'A token of this connection in the Authorization header (RFC 6750).',
        specUri: 'https://www.rfc-editor.org/rfc/rfc6750',
        primary: true,
      },
    ],
    meta: { resourceType: 'ServiceProviderConfig', location: `${baseUrl}/ServiceProviderConfig` },
  }
}

export const discovery: Discovery = {
  serviceProviderConfig,
  resourceTypes: (baseUrl) => Object.values(resources).map((one) => resourceType(baseUrl, one)),
  schemas: (baseUrl) =>
    Object.values(resources).flatMap((one) => [
      schema(baseUrl, one.urn, one.name, one.description, one.attributes),
      ...one.extensions.map((extension) => schema(baseUrl, extension.urn, extension.name, extension.description, extension.attributes)),
    ]),
}
