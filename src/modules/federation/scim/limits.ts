/** What a directory may send and ask for: enforced by the edge and the protocol, told by ServiceProviderConfig and the docs. */
export const scimLimits = {
  /** A PUT of a group with 50,000 members fits. */
  bodyBytes: 4 * 1024 * 1024,
  bulkOperations: 1_000,
  usualPage: 100,
  mostPage: 1_000,
  /** A cursor works for an hour. */
  cursorSeconds: 3_600,
  /** Exchanges that the flight recorder keeps of a connection. */
  exchanges: 500,
} as const
