/** Bytes and XML: encodings, entities, comments, bombs, doubled names, and shapes that SAML does not have. */
import { loneAssertion, now, person, post, responseXml, signedAssertion, signedResponse } from '../../kit/saml-response.ts'
import { byResponse, partOf, replaced, still, type Attack } from './attack.ts'

const valid = () => signedAssertion()
const inNameId = (what: string) => replaced(valid(), person, what)
const raw = (bytes: Uint8Array) => () => ({ samlResponse: Buffer.from(bytes).toString('base64') })
const noGrammar = 'the parser has no grammar for it: without the refusal by name it is malformed'
const entity = still('XML_ENTITY', 'no entity can be declared, so none is known')
const doctype = still('XML_DOCTYPE', noGrammar)
/** A bad byte inside a value that the digest covers. */
const withByte = (byte: number) => {
  const bytes = Buffer.from(valid())
  bytes[bytes.indexOf(person)] = byte
  return bytes
}

export const documents: readonly Attack[] = [
  byResponse(
    'a comment in the NameID',
    'XML_COMMENT',
    still('DIGEST_MISMATCH', 'a value is all of its text, and that is not what was signed'),
    () => inNameId('noor.haddad@hospital.example<!---->.stranger.example'),
  ),
  byResponse('a comment in the NameID, signed so by the provider', 'XML_COMMENT', 'accepted', () =>
    signedAssertion({ nameId: `<saml:NameID>admin@hospital.example<!-- -->.stranger.example</saml:NameID>` }),
  ),
  byResponse('a comment between two elements', 'XML_COMMENT', 'accepted', () =>
    replaced(valid(), '<samlp:Status>', '<!-- x --><samlp:Status>'),
  ),
  byResponse('a comment in an attribute value of the statement', 'XML_COMMENT', 'accepted', () =>
    replaced(valid(), '>nurses<', '>nurses<!-- x --><'),
  ),
  byResponse('a comment in the audience', 'XML_COMMENT', 'accepted', () =>
    replaced(valid(), '<saml:Audience>', '<saml:Audience><!-- x -->'),
  ),
  byResponse('CDATA in the NameID', 'XML_CDATA', still('XML_CDATA', noGrammar), () => inNameId(`<![CDATA[${person}]]>`)),
  byResponse('a processing instruction in the NameID', 'XML_INSTRUCTION', still('XML_INSTRUCTION', noGrammar), () =>
    inNameId(`noor<?x y?>.haddad@hospital.example`),
  ),
  byResponse(
    'a stylesheet before the message',
    'XML_INSTRUCTION',
    still('XML_INSTRUCTION', noGrammar),
    () => `<?xml-stylesheet href="https://idp.stranger.example/x.xsl"?>${valid()}`,
  ),
  byResponse(
    'an external entity',
    'XML_DOCTYPE',
    doctype,
    () => `<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>${inNameId('&x;')}`,
  ),
  byResponse(
    'a parameter entity from another host',
    'XML_DOCTYPE',
    doctype,
    () => `<!DOCTYPE x [<!ENTITY % x SYSTEM "https://idp.stranger.example/x.dtd"> %x;]>${valid()}`,
  ),
  byResponse(
    'a bomb of nested entities',
    'XML_DOCTYPE',
    doctype,
    () => `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>${inNameId('&b;')}`,
  ),
  byResponse(
    'default attributes by a document type',
    'XML_DOCTYPE',
    doctype,
    () => `<!DOCTYPE samlp:Response [<!ATTLIST saml:Assertion ID CDATA "_evil">]>${valid()}`,
  ),
  byResponse('an empty document type', 'XML_DOCTYPE', doctype, () => `<!DOCTYPE samlp:Response>${valid()}`),
  byResponse('an undeclared entity in the NameID', 'XML_ENTITY', entity, () => inNameId('noor&nbsp;haddad')),
  byResponse('an entity of HTML in the issuer', 'XML_ENTITY', entity, () => replaced(valid(), '</saml:Issuer>', '&shy;</saml:Issuer>')),
  byResponse('a bare ampersand', 'XML_MALFORMED', still('XML_MALFORMED', 'it begins no reference'), () => inNameId('noor & haddad')),
  byResponse('a NUL by reference', 'XML_CHARACTER', still('XML_CHARACTER', 'what XML forbids has no character to stand for'), () =>
    inNameId(`${person}&#0;`),
  ),
  byResponse(
    'a control character by reference',
    'XML_CHARACTER',
    still('XML_CHARACTER', 'what XML forbids has no character to stand for'),
    () => inNameId(`${person}&#x1b;`),
  ),
  byResponse(
    'a lone surrogate by reference',
    'XML_CHARACTER',
    still('XML_CHARACTER', 'what XML forbids has no character to stand for'),
    () => inNameId(`${person}&#xD800;`),
  ),
  byResponse('a NUL as a byte', 'XML_CHARACTER', still('DIGEST_MISMATCH', 'it is content, and content is digested'), () =>
    replaced(valid(), person, `${person}\0`),
  ),
  byResponse('a character reference beyond Unicode', 'XML_CHARACTER', still('XML_CHARACTER', 'there is no such character'), () =>
    inNameId('&#x110000;'),
  ),
  byResponse(
    'bytes that are not UTF-8',
    'NOT_UTF8',
    still('NOT_UTF8', 'the decoder has no replacement character to go on with'),
    valid,
    raw(withByte(0xff)),
  ),
  byResponse(
    'an overlong encoding of "<"',
    'NOT_UTF8',
    still('NOT_UTF8', 'the decoder has no replacement character to go on with'),
    valid,
    () => {
      const bytes = Buffer.from(valid())
      const place = bytes.indexOf(person)
      return { samlResponse: Buffer.concat([bytes.subarray(0, place), Buffer.of(0xc0, 0xbc), bytes.subarray(place)]).toString('base64') }
    },
  ),
  byResponse('UTF-16', 'NOT_UTF8', still('NOT_UTF8', 'its byte order mark is no UTF-8'), valid, () => ({
    samlResponse: Buffer.from(`\ufeff${valid()}`, 'utf16le').toString('base64'),
  })),
  byResponse('UTF-16 without its mark', 'XML_CHARACTER', still('XML_MALFORMED', 'a NUL is no text outside of the root'), valid, () => ({
    samlResponse: Buffer.from(valid(), 'utf16le').toString('base64'),
  })),
  byResponse('UTF-7 declared', 'NOT_UTF8', 'accepted', () => `<?xml version="1.0" encoding="UTF-7"?>${valid()}`),
  byResponse('Latin-1 declared', 'NOT_UTF8', 'accepted', () => `<?xml version="1.0" encoding="ISO-8859-1"?>${valid()}`),
  byResponse('a byte order mark', 'NOT_UTF8', 'accepted', () => `\ufeff${valid()}`),
  byResponse(
    'XML 1.1',
    'XML_INSTRUCTION',
    still('XML_INSTRUCTION', 'a declaration of another version is no declaration'),
    () => `<?xml version="1.1"?>${valid()}`,
  ),
  byResponse('text that is no base64', 'NOT_BASE64', still('NOT_BASE64', 'there are no bytes to read'), valid, () => ({
    samlResponse: `${post(valid())}*`,
  })),
  byResponse('base64 of the other alphabet', 'NOT_BASE64', still('NOT_BASE64', 'there are no bytes to read'), valid, () => ({
    samlResponse: Buffer.from(`${valid()}\u00fb\u00ff>>???`).toString('base64url'),
  })),
  byResponse('base64 with bits beyond its bytes', 'NOT_BASE64', still('NOT_BASE64', 'there are no bytes to read'), valid, () => {
    const padded = post(valid().padEnd(valid().length + 3 - (valid().length % 3 || 3) + 1))
    return { samlResponse: padded.replace(/.==$/, (end) => `${end === 'A==' ? 'B' : String.fromCharCode(end.charCodeAt(0) + 1)}==`) }
  }),
  byResponse('nothing', 'NOT_BASE64', still('NOT_BASE64', 'there are no bytes to read'), valid, () => ({ samlResponse: '' })),
  byResponse('a message beyond the size', 'MESSAGE_TOO_LARGE', 'accepted', () =>
    replaced(valid(), '<samlp:Status>', `${' '.repeat(600_000)}<samlp:Status>`),
  ),
  byResponse(
    'ten thousand levels',
    'XML_TOO_DEEP',
    still('ELEMENT_UNEXPECTED', 'the closed grammar has no place for it; the parser does not recurse'),
    () => replaced(valid(), '<samlp:Status>', `${'<a>'.repeat(10_000)}${'</a>'.repeat(10_000)}<samlp:Status>`),
  ),
  byResponse('twenty thousand elements', 'XML_TOO_MANY', still('ELEMENT_UNEXPECTED', 'the closed grammar has no place for them'), () =>
    replaced(valid(), '<samlp:Status>', `${'<a/>'.repeat(20_000)}<samlp:Status>`),
  ),
  byResponse('a thousand attributes', 'XML_TOO_MANY', still('ATTRIBUTE_UNEXPECTED', 'the closed grammar has no place for them'), () =>
    replaced(valid(), '<samlp:Status>', `<samlp:Status ${Array.from({ length: 1000 }, (_, at) => `a${at}="1"`).join(' ')}>`),
  ),
  byResponse('a thousand namespaces', 'XML_TOO_MANY', 'accepted', () =>
    replaced(valid(), '<samlp:Status>', `<samlp:Status ${Array.from({ length: 1000 }, (_, at) => `xmlns:a${at}="urn:a"`).join(' ')}>`),
  ),
  byResponse('an attribute twice', 'XML_DUPLICATE_ATTRIBUTE', 'accepted', () =>
    replaced(valid(), '<samlp:StatusCode ', '<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success" '),
  ),
  byResponse(
    'an attribute twice under two prefixes of one namespace',
    'XML_DUPLICATE_ATTRIBUTE',
    still('DIGEST_MISMATCH', 'both are written into the canonical form'),
    () => replaced(valid(), '<saml:Attribute ', '<saml:Attribute xmlns:a="urn:x" xmlns:b="urn:x" a:y="1" b:y="2" '),
  ),
  byResponse('the ID of the assertion twice', 'XML_DUPLICATE_ATTRIBUTE', still('DUPLICATE_ID', 'both are IDs of the document'), () =>
    replaced(valid(), '<saml:Assertion ', '<saml:Assertion ID="_assertion" '),
  ),
  byResponse('a prefix declared twice', 'XML_DUPLICATE_ATTRIBUTE', 'accepted', () =>
    replaced(valid(), '<samlp:Status>', '<samlp:Status xmlns:x="urn:a" xmlns:x="urn:b">'),
  ),
  byResponse('an undeclared prefix', 'XML_NAMESPACE', still('XML_NAMESPACE', 'a prefix without a namespace names nothing'), () =>
    replaced(valid(), '<samlp:Status>', '<evil:x/><samlp:Status>'),
  ),
  byResponse('the prefix xml bound to another namespace', 'XML_NAMESPACE', 'accepted', () =>
    replaced(valid(), '<samlp:Status>', '<samlp:Status xmlns:xml="urn:evil">'),
  ),
  byResponse('a prefix undeclared again', 'XML_NAMESPACE', 'accepted', () =>
    replaced(valid(), '<samlp:Status>', '<samlp:Status xmlns:x="">'),
  ),
  byResponse('a relative namespace', 'XML_NAMESPACE', 'accepted', () =>
    replaced(valid(), '<samlp:Status>', '<samlp:Status xmlns:x="../x">'),
  ),
  byResponse('an end tag that ends something else', 'XML_MALFORMED', still('XML_MALFORMED', 'there is no tree'), () =>
    replaced(valid(), '</samlp:Status>', '</samlp:Response>'),
  ),
  byResponse('a second root', 'XML_MALFORMED', still('XML_MALFORMED', 'there is no tree'), () => `${valid()}${valid()}`),
  byResponse('text behind the root', 'XML_MALFORMED', still('XML_MALFORMED', 'there is no tree'), () => `${valid()}x`),
  byResponse('a message cut off', 'XML_MALFORMED', still('XML_MALFORMED', 'there is no tree'), () => valid().slice(0, -20)),
  byResponse('text directly in the response', 'VALUE_MALFORMED', 'accepted', () =>
    replaced(valid(), '<samlp:Status>', 'admin<samlp:Status>'),
  ),
  byResponse('an unknown element in the response', 'ELEMENT_UNEXPECTED', 'accepted', () =>
    replaced(valid(), '<samlp:Status>', '<x:y xmlns:x="urn:x"/><samlp:Status>'),
  ),
  byResponse('Extensions in the response', 'ELEMENT_UNEXPECTED', 'accepted', () =>
    replaced(valid(), '<samlp:Status>', '<samlp:Extensions/><samlp:Status>'),
  ),
  byResponse('an unknown attribute of the response', 'ATTRIBUTE_UNEXPECTED', 'accepted', () =>
    replaced(valid(), 'Destination="', 'ProtocolBinding="x" Destination="'),
  ),
  byResponse('a foreign attribute of the response', 'ATTRIBUTE_UNEXPECTED', 'accepted', () =>
    replaced(valid(), 'Destination="', 'xmlns:x="urn:x" x:y="1" Destination="'),
  ),
  byResponse('no issue instant', 'ATTRIBUTE_MISSING', still('ISSUED_IN_FUTURE', 'an instant that is not there is none of the past'), () =>
    replaced(valid(), partOf(valid(), /IssueInstant="[^"]*"/), ''),
  ),
  byResponse('no status', 'ELEMENT_MISSING', still('STATUS', 'no status is no success'), () =>
    replaced(valid(), partOf(valid(), /<samlp:Status>[\s\S]*<\/samlp:Status>/), ''),
  ),
  byResponse('a day that does not exist', 'VALUE_MALFORMED', still('ISSUED_IN_FUTURE', 'what is no instant is none of the past'), () =>
    replaced(valid(), partOf(valid(), /(?<=IssueInstant=")[^"]*/), '2026-11-31T08:00:00Z'),
  ),
  byResponse('an instant without a time zone', 'VALUE_MALFORMED', still('ISSUED_IN_FUTURE', 'what is no instant is none of the past'), () =>
    replaced(valid(), partOf(valid(), /(?<=IssueInstant=")[^"]*/), now.toISOString().slice(0, 19)),
  ),
  byResponse('an assertion whose parts stand in another order', 'ELEMENT_UNEXPECTED', 'accepted', () => {
    const xml = responseXml()
    const authn = partOf(xml, /<saml:AuthnStatement [\s\S]*<\/saml:AuthnStatement>/)
    return signedAssertion({ authn: '', conditions: authn + partOf(xml, /<saml:Conditions [\s\S]*<\/saml:Conditions>/) })
  }),
  byResponse('a whole assertion as text of an attribute', 'DIGEST_MISMATCH', 'accepted', () =>
    replaced(signedResponse(), '>nurses<', `>${loneAssertion().replaceAll('<', '&lt;')}<`),
  ),
]
