/** The User resource (RFC 7643 §4.1, §8.7.1) and its enterprise extension (§4.3): every attribute with every characteristic. */
import { binary, complex, primary, reference, text, truth, values, type Attribute } from './attribute.ts'

export const userUrn = 'urn:ietf:params:scim:schemas:core:2.0:User'
export const enterpriseUrn = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'

const shown = { mutability: 'readOnly' } as const

export const userAttributes: readonly Attribute[] = [
  text('userName', 'The name a person is known by to the directory; unique in a connection, whatever its case.', {
    required: true,
    uniqueness: 'server',
  }),
  complex('name', 'The parts of a real name.', [
    text('formatted', 'The whole name as it is written.'),
    text('familyName', 'Family name.'),
    text('givenName', 'Given name.'),
    text('middleName', 'Middle names.'),
    text('honorificPrefix', 'What stands before the name, such as Dr.'),
    text('honorificSuffix', 'What stands after the name, such as III.'),
  ]),
  text('displayName', 'The name to show.'),
  text('nickName', 'The name friends use.'),
  reference('profileUrl', ['external'], "The address of the person's page."),
  text('title', 'Position in the organisation.'),
  text('userType', 'Relation to the organisation, such as Employee.'),
  text('preferredLanguage', 'Language as in Accept-Language (RFC 9110 §12.5.4).'),
  text('locale', 'Locale for dates, numbers and currency, such as en-US.'),
  text('timezone', 'Time zone of the IANA database, such as Africa/Cairo.'),
  truth('active', 'Whether the person may use the service; false ends every session.'),
  text('password', 'Taken and never kept: people provisioned here sign in through their directory.', {
    caseExact: true,
    mutability: 'writeOnly',
    returned: 'never',
  }),
  values('emails', 'E-mail addresses.', text('value', 'The address.'), ['work', 'home', 'other']),
  values('phoneNumbers', 'Telephone numbers.', text('value', 'The number.'), ['work', 'home', 'mobile', 'fax', 'pager', 'other']),
  values('ims', 'Instant messaging addresses.', text('value', 'The address.'), [
    'aim',
    'gtalk',
    'icq',
    'xmpp',
    'msn',
    'skype',
    'qq',
    'yahoo',
  ]),
  values('photos', 'Addresses of pictures.', reference('value', ['external'], 'The address.'), ['photo', 'thumbnail']),
  complex(
    'addresses',
    'Postal addresses.',
    [
      text('formatted', 'The whole address as it is written, with line breaks.'),
      text('streetAddress', 'Street and number.'),
      text('locality', 'City.'),
      text('region', 'State or region.'),
      text('postalCode', 'Postal code.'),
      text('country', 'Country (ISO 3166-1 alpha-2).'),
      text('type', 'What the address is used for.', { canonicalValues: ['work', 'home', 'other'] }),
      primary,
    ],
    { multiValued: true },
  ),
  complex(
    'groups',
    'The groups the person is in; changed at the groups.',
    [
      text('value', 'Id of the group.', { ...shown, caseExact: true }),
      reference('$ref', ['Group'], 'Address of the group.', shown),
      text('display', 'Name of the group.', shown),
      text('type', 'How the person is in the group.', { ...shown, canonicalValues: ['direct'] }),
    ],
    { multiValued: true, ...shown },
  ),
  values('entitlements', 'Things the person has.', text('value', 'The entitlement.')),
  values('roles', 'Roles in the organisation, for information: what a person may do follows from group rules.', text('value', 'The role.')),
  values('x509Certificates', 'Certificates.', binary('value', 'A DER certificate in base64.')),
]

export const enterpriseAttributes: readonly Attribute[] = [
  text('employeeNumber', 'Number of the employee.'),
  text('costCenter', 'Cost centre.'),
  text('organization', 'Organisation.'),
  text('division', 'Division.'),
  text('department', 'Department.'),
  complex('manager', "The person's manager.", [
    text('value', 'Id of the manager.', { caseExact: true }),
    reference('$ref', ['User'], 'Address of the manager.'),
    text('displayName', 'Name of the manager.', shown),
  ]),
]
