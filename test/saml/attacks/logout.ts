/** Logout messages: ending somebody's session is an attack too. */
import { sign } from 'node:crypto'
import { deflateRawSync } from 'node:zlib'
import type { ReasonCode } from '../../../src/modules/federation/saml/guard/reasons.ts'
import { signElement } from '../../kit/saml-provider.ts'
import {
  answering,
  byPost,
  byRedirect,
  leaving,
  logoutId,
  logoutRequestXml,
  logoutResponseXml,
  logoutUrl,
  posted,
  redirected,
} from '../../kit/saml-logout.ts'
import { at, hospital, person, post, stranger } from '../../kit/saml-response.ts'
import { forged, partOf, replaced, still, type Attack } from './attack.ts'

const request = (name: string, reason: ReasonCode, without: Attack['without'], received: () => Parameters<typeof leaving>[0]): Attack => ({
  name,
  reason,
  without,
  message: () => ({ kind: 'logout request', input: leaving(received()) }),
})
const answer = (name: string, reason: ReasonCode, without: Attack['without'], received: () => Parameters<typeof leaving>[0]): Attack => ({
  name,
  reason,
  without,
  message: () => ({ kind: 'logout answer', input: answering(received()) }),
})
const query = (xml = logoutRequestXml) => redirected(xml, 'SAMLRequest', hospital, { relayState: 'state 1' })
const signed = (from: string, to: string) => byPost(posted(replaced(logoutRequestXml, from, to), '_request'))
const nothing = 'only a verified signature lets a logout through'
const wrapped = () => {
  const inner = signElement(logoutRequestXml, '_request', hospital)
  const evil = replaced(forged(logoutRequestXml), 'ID="_request"', 'ID="_evil"')
  const signature = partOf(inner, /<ds:Signature [\s\S]*<\/ds:Signature>/)
  const object = `<ds:Object>${replaced(inner, signature, '')}</ds:Object></ds:Signature>`
  return byPost(post(replaced(evil, '</saml:Issuer>', `</saml:Issuer>${replaced(signature, '</ds:Signature>', object)}`)))
}

export const logout: readonly Attack[] = [
  request('a logout by POST without a signature', 'SIGNATURE_MISSING', still('SIGNATURE_MISSING', nothing), () =>
    byPost(post(logoutRequestXml)),
  ),
  request('a logout by redirect without a signature', 'SIGNATURE_MISSING', still('SIGNATURE_MISSING', nothing), () =>
    byRedirect(query().replace(/&SigAlg=.*/, '')),
  ),
  request('a logout of somebody else after signing', 'DIGEST_MISMATCH', 'accepted', () =>
    byPost(post(forged(signElement(logoutRequestXml, '_request', hospital)))),
  ),
  request(
    'a wrapped logout',
    'ELEMENT_UNEXPECTED',
    still('REFERENCE_FOREIGN', 'the signature refers to another element than the one it stands in'),
    wrapped,
  ),
  request('a logout signed by a stranger', 'SIGNING_KEY_UNKNOWN', still('SIGNATURE_INVALID', 'keys come from the connection alone'), () =>
    byPost(posted(logoutRequestXml, '_request', stranger)),
  ),
  request('a redirected logout signed by a stranger', 'SIGNATURE_INVALID', 'accepted', () =>
    byRedirect(redirected(logoutRequestXml, 'SAMLRequest', stranger)),
  ),
  request('a redirected logout with another relay state', 'SIGNATURE_INVALID', 'accepted', () =>
    byRedirect(replaced(query(), 'RelayState=state%201', 'RelayState=state%202')),
  ),
  request('a redirected logout without its relay state', 'SIGNATURE_INVALID', 'accepted', () =>
    byRedirect(replaced(query(), 'RelayState=state%201&', '')),
  ),
  request('a redirected logout whose query is written otherwise', 'SIGNATURE_INVALID', 'accepted', () =>
    byRedirect(replaced(query(), 'state%201', 'state+1')),
  ),
  request('a redirected logout of somebody else under the old signature', 'SIGNATURE_INVALID', 'accepted', () => {
    const evil = encodeURIComponent(deflateRawSync(Buffer.from(forged(logoutRequestXml))).toString('base64'))
    return byRedirect(query().replace(/SAMLRequest=[^&]*/, `SAMLRequest=${evil}`))
  }),
  request(
    'a redirect with the message twice',
    'QUERY_MALFORMED',
    still('SIGNATURE_INVALID', 'the last one counts, in the signature too'),
    () => byRedirect(`${query()}&SAMLRequest=x`),
  ),
  request('a redirect with the signature twice', 'QUERY_MALFORMED', still('NOT_BASE64', 'the last one counts'), () =>
    byRedirect(`${query()}&Signature=x`),
  ),
  request('a redirect with a request and a response', 'QUERY_MALFORMED', 'accepted', () => byRedirect(`${query()}&SAMLResponse=x`)),
  request(
    'a redirect signed with SHA-1',
    'SIGNATURE_ALGORITHM',
    still('SIGNATURE_INVALID', 'the table of algorithms is the only way to one'),
    () => byRedirect(redirected(logoutRequestXml, 'SAMLRequest', hospital, { algorithm: 'http://www.w3.org/2000/09/xmldsig#rsa-sha1' })),
  ),
  request('a redirect in another encoding', 'NOT_DEFLATED', 'accepted', () => byRedirect(`${query()}&SAMLEncoding=urn:x`)),
  request('a redirect that inflates without end', 'MESSAGE_TOO_LARGE', still('MESSAGE_TOO_LARGE', 'zlib itself stops there'), () =>
    byRedirect(query(`${logoutRequestXml}${' '.repeat(8_000_000)}`)),
  ),
  request('a redirect of what is not deflated', 'NOT_DEFLATED', still('NOT_DEFLATED', 'there are no bytes to read'), () => {
    const pairs = query().split('&').slice(1, 3).join('&')
    return { binding: 'redirect', query: signedQuery(`SAMLRequest=${encodeURIComponent(post(logoutRequestXml))}&${pairs}`) }
  }),
  request('a redirected message with a signature inside', 'SIGNATURE_MISPLACED', 'accepted', () =>
    byRedirect(query(signElement(logoutRequestXml, '_request', hospital))),
  ),
  request('a logout at another address', 'DESTINATION', 'accepted', () => signed(logoutUrl, 'https://care.example/saml/south/logout')),
  request('a logout without a destination', 'DESTINATION', 'accepted', () => signed(`Destination="${logoutUrl}" `, '')),
  request('a logout of another issuer', 'ISSUER', 'accepted', () => signed(hospital.entityId, stranger.entityId)),
  request('a logout of SAML 1.1', 'VERSION', 'accepted', () => signed('Version="2.0"', 'Version="1.1"')),
  request('a logout that is over', 'EXPIRED', 'accepted', () => signed(at(300), at(-61))),
  request('a logout of eleven minutes and a second ago', 'ISSUED_LONG_AGO', 'accepted', () => signed(at(-2), at(-661))),
  request('a logout 61 seconds ahead', 'ISSUED_IN_FUTURE', 'accepted', () => signed(at(-2), at(61))),
  request('a logout of nobody', 'NAME_ID', 'accepted', () => signed(`>${person}<`, '><')),
  request('a logout answer where a request is due', 'WRONG_ROOT', still('WRONG_ROOT', 'there is no request to read'), () =>
    byPost(posted(logoutResponseXml, '_answer')),
  ),
  answer('an answer to another logout', 'IN_RESPONSE_TO', 'accepted', () =>
    byPost(posted(replaced(logoutResponseXml, logoutId, '_another'), '_answer'), logoutId),
  ),
  answer('an unsigned answer to a logout', 'SIGNATURE_MISSING', still('SIGNATURE_MISSING', nothing), () =>
    byPost(post(logoutResponseXml), logoutId),
  ),
  answer('a redirected answer signed by a stranger', 'SIGNATURE_INVALID', 'accepted', () =>
    byRedirect(redirected(logoutResponseXml, 'SAMLResponse', stranger, { relayState: logoutId })),
  ),
]

/** Signs a query as it is given. */
function signedQuery(pairs: string): string {
  const signature = sign('sha256', Buffer.from(pairs), hospital.key)
  return `${pairs}&Signature=${encodeURIComponent(signature.toString('base64'))}`
}
