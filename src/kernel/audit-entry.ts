/** One line of the audit trail before it is written: names of things, never their values. */
export interface AuditEntry {
  /** `<subject>.<past or refused act>`, for example `recipient.created`, `phi.read`, `access.denied`. */
  readonly action: string
  /** Kind of record, for example `CareRecipient`. */
  readonly resource: string
  readonly resourceId?: string | null
  /** The recipient whose record this is about: what "who looked at my record" searches. */
  readonly subjectId?: string | null
  readonly outcome: 'done' | 'denied' | 'failed'
  /** Codes, counts and field names. Never PHI, never a secret, never free text from outside. */
  readonly detail?: Readonly<Record<string, string | number | boolean | null | readonly string[]>>
  /** Where the act itself establishes who acts (a sign-in): overrides the caller's. */
  readonly actor?: { readonly id: string; readonly sessionId?: string; readonly via?: string }
}
