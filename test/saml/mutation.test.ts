/** Bytes of a valid message changed at random, by parts and by structure: whatever is accepted says what was signed. */
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { samlGuard } from '../../src/modules/federation/saml/guard/guard.ts'
import type { ResponseInput } from '../../src/modules/federation/saml/guard/verdict.ts'
import { encryptAssertion } from '../kit/saml-provider.ts'
import { asking, assertionXml, loneAssertion, responseXml, signedAssertion, signedResponse } from '../kit/saml-response.ts'
import { okta, ping } from '../kit/saml-vendors.ts'

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const encrypted = () =>
  responseXml({}, encryptAssertion(loneAssertion(), createPublicKey(privateKey.export({ type: 'pkcs8', format: 'pem' }))))
const messages = [signedAssertion(), signedResponse(), okta(), ping(), encrypted()]

function identityOf(input: ResponseInput): unknown {
  const verdict = samlGuard.verifyResponse({ ...input, decryptionKeys: [privateKey] })
  return verdict.ok ? { ...verdict.assertion, attributes: [...verdict.assertion.attributes] } : null
}

const signedIdentities = messages.map((xml) => identityOf(asking(xml)))
const asBytes = (bytes: Uint8Array) => asking('', { samlResponse: Buffer.from(bytes).toString('base64') })

test('the messages are accepted as they are', () => {
  for (const identity of signedIdentities) expect(identity).not.toBeNull()
})

const which = fc.integer({ min: 0, max: messages.length - 1 })
/** Even over the message: random doubles crowd near zero. */
const place = fc.noBias(fc.integer({ min: 0, max: 999_999 })).map((at) => at / 1_000_000)
const change = fc.record({
  at: place,
  kind: fc.constantFrom('flip', 'insert', 'delete', 'copy'),
  byte: fc.oneof(fc.constantFrom(...Buffer.from('<>&"\'/= !-_#;:xA0\n\r')), fc.integer({ min: 0, max: 255 })),
  size: fc.integer({ min: 1, max: 40 }),
  to: place,
})

function changed(
  bytes: Buffer,
  { at, kind, byte, size, to }: { at: number; kind: string; byte: number; size: number; to: number },
): Buffer {
  const start = Math.floor(at * bytes.length)
  const end = kind === 'flip' ? start + 1 : kind === 'delete' ? start + size : start
  const target = Math.floor(to * bytes.length)
  const put = kind === 'delete' ? Buffer.alloc(0) : kind === 'copy' ? bytes.subarray(target, target + size * 10) : Buffer.of(byte)
  return Buffer.concat([bytes.subarray(0, start), put, bytes.subarray(end)])
}

test('changed bytes are refused or change nothing of the identity', () => {
  fc.assert(
    fc.property(which, fc.array(change, { minLength: 1, maxLength: 3 }), (index, changes) => {
      const identity = identityOf(asBytes(changes.reduce(changed, Buffer.from(messages[index]!))))
      if (identity !== null) expect(identity).toEqual(signedIdentities[index])
    }),
    { numRuns: 1500, seed: 20261121 },
  )
})

/** Whole elements of the message, and of a forged one, moved about: what wrapping attacks are made of. */
const elementsOf = (xml: string) =>
  [
    ...xml.matchAll(/<([\w:]+)(?: [^>]*)?>[^<]*<\/\1>|<ds:Signature [\s\S]*?<\/ds:Signature>|<saml:Assertion [\s\S]*?<\/saml:Assertion>/g),
  ].map(([one]) => one)
const forged = assertionXml().replace('noor.haddad', 'admin').replace('_assertion', '_evil')

test('elements moved, doubled and grafted are refused or change nothing of the identity', () => {
  const parts = [
    ...elementsOf(signedAssertion()),
    ...elementsOf(forged),
    forged,
    '<ds:Object>',
    '</ds:Object>',
    '<samlp:Extensions>',
    '</samlp:Extensions>',
  ]
  // Half of what is put somewhere is a whole forged assertion.
  const part = fc.oneof(fc.constant(forged), fc.constantFrom(...parts))
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1 }),
      fc.array(fc.record({ at: place, part, cut: fc.boolean() }), { minLength: 1, maxLength: 4 }),
      (index, moves) => {
        const xml = moves.reduce((text, { at, part, cut }) => {
          const ends = [...text.matchAll(/>/g)].map((found) => found.index + 1)
          const end = ends[Math.floor(at * ends.length)]!
          const whole = cut ? text.replace(part, '') : text
          return whole.slice(0, end) + part + whole.slice(end)
        }, messages[index]!)
        const identity = identityOf(asking(xml))
        if (identity !== null) expect(identity).toEqual(signedIdentities[index])
      },
    ),
    { numRuns: 800, seed: 20261121 },
  )
})

test('no bytes at all make the guard throw', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.base64String(),
        fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('base64')),
      ),
      (samlResponse) => {
        expect(samlGuard.verifyResponse(asking('', { samlResponse })).ok).toBe(false)
        expect(
          samlGuard.verifyLogoutRequest({ ...asking(''), received: { binding: 'redirect', query: samlResponse }, destination: 'x' }).ok,
        ).toBe(false)
        expect(samlGuard.readMetadata({ xml: Buffer.from(samlResponse), now: new Date(0) }).ok).toBe(false)
      },
    ),
    { numRuns: 300, seed: 20261121 },
  )
})
