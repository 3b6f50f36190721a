/**
 * Shapes of metadata (SAML metadata 2.0): closed where we read, open where other roles and extensions stand, which are never looked
 * into. The order of parts is not asked: widespread providers do not keep it.
 */
import { ds, md, saml } from '../names.ts'
import { many, maybe, one, opaque, shape, valued, type Particle, type Shape } from './shape.ts'
import { keyInfo, signature } from './signature-shapes.ts'
import { anything, boolean, duration, instant, ncName, number, uri } from './values.ts'

const unordered = (parts: Partial<Shape>) => shape({ ...parts, ordered: false })
const extensions = maybe(md, 'Extensions', opaque)
const people = [maybe(md, 'Organization', opaque), many(md, 'ContactPerson', opaque)]
const validity = { ID: ncName, validUntil: instant, cacheDuration: duration }

const endpoint = shape({
  required: { Binding: uri, Location: uri },
  optional: { ResponseLocation: uri, index: number, isDefault: boolean },
  foreign: '*',
  inside: [],
})
const endpoints = (local: string): Particle => many(md, local, endpoint)

const keyDescriptor = shape({
  optional: { use: (value) => value === 'signing' || value === 'encryption' },
  inside: [[one(ds, 'KeyInfo', keyInfo)], [many(md, 'EncryptionMethod', opaque)]],
})

const idpDescriptor = unordered({
  required: { protocolSupportEnumeration: anything },
  optional: { ...validity, WantAuthnRequestsSigned: boolean, errorURL: anything },
  foreign: '*',
  inside: [
    [maybe(ds, 'Signature', signature), extensions, ...people],
    [many(md, 'KeyDescriptor', keyDescriptor)],
    [
      endpoints('ArtifactResolutionService'),
      endpoints('SingleLogoutService'),
      endpoints('ManageNameIDService'),
      endpoints('SingleSignOnService'),
      endpoints('NameIDMappingService'),
      endpoints('AssertionIDRequestService'),
      many(md, 'NameIDFormat', valued(uri)),
      many(md, 'AttributeProfile', valued(uri)),
      many(saml, 'Attribute', opaque),
    ],
  ],
})

const otherRoles = [
  'RoleDescriptor',
  'SPSSODescriptor',
  'AuthnAuthorityDescriptor',
  'AttributeAuthorityDescriptor',
  'PDPDescriptor',
  'AffiliationDescriptor',
  'AdditionalMetadataLocation',
].map((local) => many(md, local, opaque))

export const entityDescriptor = unordered({
  required: { entityID: (value) => value !== '' && value.length <= 1024 },
  optional: validity,
  foreign: '*',
  inside: [[maybe(ds, 'Signature', signature), extensions, ...people, many(md, 'IDPSSODescriptor', idpDescriptor), ...otherRoles]],
})

export const entitiesDescriptor: Shape = unordered({
  optional: { ...validity, Name: anything },
  foreign: '*',
  inside: [
    [
      maybe(ds, 'Signature', signature),
      extensions,
      many(md, 'EntityDescriptor', entityDescriptor),
      many(md, 'EntitiesDescriptor', () => entitiesDescriptor),
    ],
  ],
})
