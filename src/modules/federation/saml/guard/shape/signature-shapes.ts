/** Shapes of XML Signature and XML Encryption as SAML uses them. No ds:Object, no Manifest, no external references. */
import { ds, dsig11, exclusive, xenc, xenc11 } from '../names.ts'
import { many, maybe, one, shape, some, valued } from './shape.ts'
import { anything, base64Text, ncName, number, uri } from './values.ts'

const inclusiveNamespaces = maybe(exclusive, 'InclusiveNamespaces', shape({ optional: { PrefixList: anything } }))
const method = shape({ required: { Algorithm: uri }, inside: [[inclusiveNamespaces]] })
const plainMethod = shape({ required: { Algorithm: uri } })
const binary = valued(base64Text)

// Certificates and keys in a message say only what the sender would like us to use: they are never used.
const x509Data = shape({
  inside: [
    [
      many(ds, 'X509Certificate', binary),
      many(ds, 'X509SubjectName', valued(anything)),
      many(ds, 'X509SKI', binary),
      many(ds, 'X509CRL', binary),
      many(dsig11, 'X509Digest', valued(base64Text, { required: { Algorithm: uri } })),
      many(
        ds,
        'X509IssuerSerial',
        shape({ inside: [[one(ds, 'X509IssuerName', valued(anything))], [one(ds, 'X509SerialNumber', valued(anything))]] }),
      ),
    ],
  ],
})
const rsaKeyValue = shape({ inside: [[one(ds, 'Modulus', binary)], [one(ds, 'Exponent', binary)]] })
const ecKeyValue = shape({
  inside: [[one(dsig11, 'NamedCurve', shape({ required: { URI: uri } }))], [one(dsig11, 'PublicKey', binary)]],
})
const keyValue = shape({ inside: [[maybe(ds, 'RSAKeyValue', rsaKeyValue), maybe(dsig11, 'ECKeyValue', ecKeyValue)]] })
const named = [many(ds, 'KeyName', valued(anything)), many(ds, 'X509Data', x509Data), many(ds, 'KeyValue', keyValue)]

export const keyInfo = shape({ optional: { Id: ncName }, inside: [named] })

// Several references and any number of transforms are let pass here: the signature's own laws name them better.
const reference = shape({
  required: { URI: anything },
  inside: [
    [maybe(ds, 'Transforms', shape({ inside: [[some(ds, 'Transform', method)]] }))],
    [one(ds, 'DigestMethod', plainMethod)],
    [one(ds, 'DigestValue', binary)],
  ],
})
const signedInfo = shape({
  inside: [[one(ds, 'CanonicalizationMethod', method)], [one(ds, 'SignatureMethod', plainMethod)], [some(ds, 'Reference', reference)]],
})
export const signature = shape({
  optional: { Id: ncName },
  inside: [[one(ds, 'SignedInfo', signedInfo)], [one(ds, 'SignatureValue', binary)], [maybe(ds, 'KeyInfo', keyInfo)]],
})

const cipherData = shape({ inside: [[one(xenc, 'CipherValue', binary)]] })
const encryptionMethod = shape({
  required: { Algorithm: uri },
  inside: [
    [maybe(xenc, 'KeySize', valued(number))],
    [maybe(xenc, 'OAEPparams', binary)],
    // Providers write these two in either order.
    [maybe(ds, 'DigestMethod', plainMethod), maybe(xenc11, 'MGF', plainMethod)],
  ],
})
const references = shape({ inside: [[some(xenc, 'DataReference', shape({ required: { URI: anything } }))]] })
const encryptedKey = shape({
  optional: { Id: ncName, Type: uri, Recipient: anything, MimeType: anything, Encoding: uri },
  inside: [
    [one(xenc, 'EncryptionMethod', encryptionMethod)],
    [maybe(ds, 'KeyInfo', keyInfo)],
    [one(xenc, 'CipherData', cipherData)],
    [maybe(xenc, 'ReferenceList', references)],
    [maybe(xenc, 'CarriedKeyName', valued(anything))],
  ],
})
const retrieval = shape({ required: { URI: anything }, optional: { Type: uri } })
const keyOfData = shape({
  optional: { Id: ncName },
  inside: [[...named, many(xenc, 'EncryptedKey', encryptedKey), many(ds, 'RetrievalMethod', retrieval)]],
})
const encryptedData = shape({
  optional: { Id: ncName, Type: uri, MimeType: anything, Encoding: uri },
  inside: [[one(xenc, 'EncryptionMethod', encryptionMethod)], [maybe(ds, 'KeyInfo', keyOfData)], [one(xenc, 'CipherData', cipherData)]],
})

export const encrypted = shape({ inside: [[one(xenc, 'EncryptedData', encryptedData)], [many(xenc, 'EncryptedKey', encryptedKey)]] })
