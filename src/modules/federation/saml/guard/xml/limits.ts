/** How large a document may be. A bound exists for each way in which one can grow. */
export interface XmlLimits {
  /** Bytes as decoded from base64, or inflated. */
  readonly bytes: number
  readonly depth: number
  readonly elements: number
  /** Attributes of one element, declarations included. */
  readonly attributes: number
  /** Namespace declarations in force at one place. */
  readonly prefixes: number
  /** Characters of a name with its prefix. */
  readonly name: number
}

/** A response with 2,000 groups is about 200 kB. */
export const messageLimits: XmlLimits = { bytes: 384 * 1024, depth: 24, elements: 12_000, attributes: 24, prefixes: 32, name: 160 }

/** Metadata of one provider is 5 to 120 kB; one with every claim described reaches 300. */
export const metadataLimits: XmlLimits = { bytes: 2 * 1024 * 1024, depth: 32, elements: 60_000, attributes: 32, prefixes: 48, name: 160 }
