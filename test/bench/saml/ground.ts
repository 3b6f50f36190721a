/** What both sides verify: the same responses, as of the real clock, which the other side does not let be set. */
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { encryptAssertion, signElement } from '../../kit/saml-provider.ts'
import { assertionXml, hospital, now, responseXml } from '../../kit/saml-response.ts'

export interface Case {
  readonly name: string
  readonly samlResponse: string
  readonly assertionSigned: boolean
  readonly responseSigned: boolean
  readonly decryptionKey: KeyObject | null
}

/** Moves every instant of a message from the fixed clock of the kit to the real one. */
function moved(xml: string, startedAt: Date): string {
  const by = startedAt.getTime() - now.getTime()
  return xml.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, (instant) => new Date(Date.parse(instant) + by).toISOString())
}

const base64 = (xml: string) => Buffer.from(xml).toString('base64')

/** @param startedAt the responses are good for five minutes from then. */
export function layCases(startedAt: Date): Case[] {
  const groups = Array.from({ length: 200 }, (_, at) => `<saml:AttributeValue>ward ${at} &amp; its nurses</saml:AttributeValue>`)
  const manyGroups = `<saml:AttributeStatement><saml:Attribute Name="groups">${groups.join('')}</saml:Attribute></saml:AttributeStatement>`
  const plain = moved(responseXml(), startedAt)
  const large = moved(responseXml({ attributes: manyGroups }), startedAt)
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const lone = signElement(moved(assertionXml(), startedAt), '_assertion', hospital)
  const encrypted = moved(responseXml({}, '{encrypted}'), startedAt).replace(
    '{encrypted}',
    encryptAssertion(lone, createPublicKey(privateKey as never)),
  )
  const signed = { assertionSigned: true, responseSigned: false, decryptionKey: null }
  return [
    { name: 'verify', samlResponse: base64(signElement(plain, '_assertion', hospital)), ...signed },
    {
      name: 'verify-response-signed',
      samlResponse: base64(signElement(plain, '_response', hospital)),
      assertionSigned: false,
      responseSigned: true,
      decryptionKey: null,
    },
    { name: 'verify-200-groups', samlResponse: base64(signElement(large, '_assertion', hospital)), ...signed },
    { name: 'verify-encrypted', samlResponse: base64(encrypted), ...signed, decryptionKey: privateKey },
  ]
}
