/** The Group resource (RFC 7643 §4.2) and what every resource has (§3.1). */
import { complex, reference, text, time, type Attribute } from './attribute.ts'

export const groupUrn = 'urn:ietf:params:scim:schemas:core:2.0:Group'

const once = { mutability: 'immutable' } as const
const shown = { mutability: 'readOnly', caseExact: true } as const

export const groupAttributes: readonly Attribute[] = [
  text('displayName', 'The name of the group.', { required: true }),
  complex(
    'members',
    'The users in the group. A group holds no groups.',
    [
      text('value', 'Id of the user.', once),
      reference('$ref', ['User'], 'Address of the user.', once),
      text('type', 'What the member is.', { ...once, canonicalValues: ['User'] }),
      text('display', 'Name of the user.', { mutability: 'readOnly' }),
    ],
    { multiValued: true },
  ),
]

/** Attributes of every resource; no schema lists them (RFC 7643 §3.1). */
export const commonAttributes: readonly Attribute[] = [
  reference('schemas', ['uri'], 'The schemas of the resource.', {
    multiValued: true,
    required: true,
    mutability: 'readOnly',
    returned: 'always',
  }),
  text('id', 'Our name for the resource.', { ...shown, returned: 'always', uniqueness: 'server' }),
  text('externalId', "The directory's name for the resource.", { caseExact: true }),
  complex(
    'meta',
    'What the server knows of the resource.',
    [
      text('resourceType', 'Kind of resource.', shown),
      time('created', 'When it was created.', shown),
      time('lastModified', 'When it was last changed.', shown),
      reference('location', ['uri'], 'Its address.', shown),
      text('version', 'Its version, as in the ETag.', shown),
    ],
    { mutability: 'readOnly' },
  ),
]
