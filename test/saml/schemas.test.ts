/**
 * What OASIS's own schemas say, as Debian's SimpleSAMLphp brings them and libxml reads them: of every message that we write, by both
 * bindings, and of every shape that the guard takes. The product never sees a schema: its grammar is its own.
 */
import { execFileSync } from 'node:child_process'
import { inflateRawSync } from 'node:zlib'
import { expect, test } from 'vitest'
import {
  authnRequest,
  logoutRequest,
  logoutResponse,
  ownMetadata,
  type Binding,
  type Outgoing,
} from '../../src/modules/federation/saml/messages.ts'
import { keysOf, makeProvider } from '../kit/saml-provider.ts'
import { valid } from '../kit/saml-shapes.ts'

const schemas = '/usr/share/simplesamlphp/schemas'
const script = `
libxml_use_internal_errors(true);
$answers = [];
foreach (json_decode(stream_get_contents(STDIN)) as [$schema, $xml]) {
  $document = new DOMDocument();
  $ok = $document->loadXML($xml, LIBXML_NONET) && $document->schemaValidate("${schemas}/$schema");
  $answers[] = $ok ? [] : array_map(fn ($error) => trim($error->message), libxml_get_errors());
  libxml_clear_errors();
}
echo json_encode($answers);`

/** The complaints about each document. @throws without PHP or the schemas: CI installs them, and their absence fails. */
function complaints(documents: readonly (readonly [schema: 'protocol' | 'metadata', xml: string])[]): string[][] {
  const input = JSON.stringify(documents.map(([schema, xml]) => [`saml-schema-${schema}-2.0.xsd`, xml]))
  return JSON.parse(execFileSync('php', ['-r', script], { input, encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 })) as string[][]
}

function xmlOf(to: Outgoing): string {
  const field = (name: string) => (to.kind === 'POST' ? to.fields[name] : new URL(to.url).searchParams.get(name))
  const message = Buffer.from(field('SAMLRequest') ?? field('SAMLResponse') ?? '', 'base64')
  return (to.kind === 'POST' ? message : inflateRawSync(message)).toString()
}

const keys = { ...keysOf(makeProvider('https://care.example')), encryptionCertificates: [makeProvider('https://care.example').certificate] }
const base = 'https://care.example/saml/north'
const addresses = { entityId: `${base}/metadata`, metadataUrl: `${base}/metadata`, acsUrl: `${base}/acs`, loginUrl: `${base}/login`, logoutUrl: `${base}/logout` }
const idp = (binding: Binding) => {
  const endpoint = { url: 'https://idp.example/here', binding }
  return { entityId: 'https://idp.example', sso: endpoint, slo: endpoint }
}
const subject = { nameId: 'noor & amal', nameIdFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent' }

const ours = (['redirect', 'post'] as const).flatMap((binding) => {
  const common = { addresses, keys, idp: idp(binding), relayState: '/rounds' }
  return [
    [`a request by ${binding}`, authnRequest({ ...common, id: '_1', forceAuthn: false })],
    [`a request by ${binding} with ForceAuthn`, authnRequest({ ...common, id: '_2', forceAuthn: true })],
    [`a logout request by ${binding}`, logoutRequest({ ...common, id: '_3', subject: { ...subject, sessionIndex: '_s1' } })],
    [`a logout request by ${binding} for every session`, logoutRequest({ ...common, id: '_4', subject: { ...subject, sessionIndex: null } })],
    [`a logout response by ${binding}`, logoutResponse({ ...common, id: '_5', inResponseTo: '_theirs' })],
  ] as const
})

test('every message that we write is as the schemas have it, and a bent one is not', () => {
  const documents = ours.map(([, to]) => ['protocol', xmlOf(to)] as const)
  const metadata = ['metadata', ownMetadata(addresses, { ...keys, signingCertificates: [...keys.signingCertificates, ...keys.encryptionCertificates] })] as const
  const found = complaints([...documents, metadata])
  expect([...ours.map(([name]) => name), 'metadata'].map((name, k) => [name, found[k]])).toEqual(
    [...ours.map(([name]) => name), 'metadata'].map((name) => [name, []]),
  )
  const bent = complaints([...documents, metadata].map(([schema, xml]) => [schema, xml.replace(/ (Version|entityID)="[^"]*"/, '')] as const))
  for (const one of bent) expect(one.length).toBeGreaterThan(0)
})

test('every shape that the guard takes is as the schemas have it', () => {
  const found = complaints(valid.map(([, xml]) => ['protocol', xml()] as const))
  // A mask generation function is of XML Encryption 1.1, whose schema is not among these.
  const younger = (complaint: string) => complaint.includes('{http://www.w3.org/2009/xmlenc11#}MGF') && complaint.includes('No matching global')
  expect(valid.map(([name], k) => [name, found[k]!.filter((one) => !younger(one))])).toEqual(valid.map(([name]) => [name, []]))
})
