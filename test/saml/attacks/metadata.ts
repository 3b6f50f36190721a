/** Metadata: whoever forges it becomes the identity provider. */
import type { ReasonCode } from '../../../src/modules/federation/saml/guard/reasons.ts'
import { certificateLines, entityXml, reading } from '../../kit/saml-metadata.ts'
import { makeProvider } from '../../kit/saml-provider.ts'
import { at, hospital } from '../../kit/saml-response.ts'
import { partOf, replaced, still, type Attack } from './attack.ts'

const weak = makeProvider('https://idp.hospital.example/metadata', 'weak rsa')
const bare = entityXml.replace(' ID="_metadata"', '')

const attack = (name: string, reason: ReasonCode, without: Attack['without'], xml: () => string): Attack => ({
  name,
  reason,
  without,
  message: () => ({ kind: 'metadata', input: reading(xml()) }),
})

export const metadata: readonly Attack[] = [
  attack(
    'an entity from a file in metadata',
    'XML_DOCTYPE',
    still('XML_DOCTYPE', 'the parser has no grammar for it'),
    () => `<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>${entityXml}`,
  ),
  attack('a comment in the certificate', 'XML_COMMENT', 'accepted', () =>
    replaced(entityXml, '<ds:X509Certificate>', '<ds:X509Certificate><!-- -->'),
  ),
  attack('metadata that is over', 'METADATA_EXPIRED', 'accepted', () => replaced(entityXml, at(86_400 * 7), at(-61))),
  attack(
    'metadata in a group that is over',
    'METADATA_EXPIRED',
    'accepted',
    () =>
      `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" validUntil="${at(-61)}">${entityXml}</md:EntitiesDescriptor>`,
  ),
  attack(
    'metadata of two providers',
    'METADATA_SEVERAL',
    'accepted',
    () => `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">${bare}${bare}</md:EntitiesDescriptor>`,
  ),
  attack('metadata of a service', 'METADATA_NO_PROVIDER', still('METADATA_NO_PROVIDER', 'there is no provider to read'), () =>
    entityXml.replaceAll('IDPSSODescriptor', 'SPSSODescriptor'),
  ),
  attack('metadata of a provider of SAML 1.1', 'METADATA_NO_PROVIDER', still('METADATA_NO_PROVIDER', 'there is no provider to read'), () =>
    replaced(
      entityXml,
      'protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"',
      'protocolSupportEnumeration="urn:oasis:names:tc:SAML:1.1:protocol"',
    ),
  ),
  attack('metadata without a certificate', 'METADATA_CERTIFICATE', 'accepted', () =>
    replaced(entityXml, partOf(entityXml, /<md:KeyDescriptor[\s\S]*<\/md:KeyDescriptor>/), ''),
  ),
  attack('metadata with a weak key', 'METADATA_CERTIFICATE', 'accepted', () =>
    replaced(entityXml, certificateLines(hospital.certificate), certificateLines(weak.certificate)),
  ),
  attack('metadata with an encryption key only', 'METADATA_CERTIFICATE', 'accepted', () =>
    replaced(entityXml, 'use="signing"', 'use="encryption"'),
  ),
  attack('sign-on addresses without TLS', 'METADATA_ENDPOINT', 'accepted', () =>
    entityXml.replaceAll('https://idp.hospital.example/sso', 'http://idp.hospital.example/sso'),
  ),
  attack('sign-on addresses that are scripts', 'METADATA_ENDPOINT', 'accepted', () =>
    entityXml.replaceAll('https://idp.hospital.example/sso', 'javascript:alert(1)'),
  ),
  attack('sign-on addresses with a user in them', 'METADATA_ENDPOINT', 'accepted', () =>
    entityXml.replaceAll('https://idp.hospital.example/sso', 'https://care.example@idp.stranger.example/sso'),
  ),
  attack(
    'a page instead of metadata',
    'WRONG_ROOT',
    still('WRONG_ROOT', 'there is nothing to read'),
    () => '<html><body>Sign in</body></html>',
  ),
]
