/**
 * Audit, streaming: a tenant's sealed lines go to a receiver of its own (a SIEM) in batches of the export's format.
 *
 * Glossary
 * - **batch**: sealed lines in a row as JSON Lines; batches verify alone and together, as exports do.
 * - **cursor**: the last line that the receiver has taken (any 2xx answer). A batch is sent again until it is: at least once, in order.
 * - **signing secret**: made here and shown once; every batch carries an HMAC with its moment.
 * - **failing**: five failures in a row or more. Sending goes on, at most 15 minutes apart; sealing never waits for it.
 * - **vouched**: the operator answers for it that a receiver may have a private address. Setting another address ends that.
 */
import { z } from 'zod'
import { event } from '../../../kernel/event.ts'
import { fault } from '../../../kernel/fault.ts'
import type { Methods, ContractOf } from '../../../platform/contract.ts'

export const noStream = fault('absent', 'NO_AUDIT_STREAM', 'This audit trail is not streamed anywhere.')
export const streamFailing = event('audit.stream.failing', z.object({ failures: z.number() }))

const url = z
  .string()
  .max(2_048)
  .refine((text) => {
    const parsed = URL.parse(text)
    return parsed?.protocol === 'https:' && parsed.username === '' && parsed.password === '' && parsed.hash === ''
  }, 'is not an https address')
/** Printable ASCII: it stands in a header. */
const token = z.string().regex(/^[\x21-\x7e]{8,4096}$/, 'is not a token: 8 to 4096 printable characters without spaces')
const authorities = z
  .string()
  .max(32 * 1024)
  .regex(/^\s*(-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+$/, 'is not a certificate in PEM')

const state = z.object({
  url: z.string(),
  standing: z.enum(['WAITING', 'FLOWING', 'RETRYING', 'FAILING']),
  /** The last line that the receiver has taken, and the newest one that is sealed. */
  cursor: z.number(),
  head: z.number(),
  failures: z.number(),
  problem: z.string().nullable(),
  sentAt: z.iso.datetime().nullable(),
  nextAt: z.iso.datetime(),
  vouched: z.boolean(),
})
export type StreamState = z.output<typeof state>

export const streamMethods = {
  /**
   * Streams the trail to this address from now on. Needs `audit:export`. `token`: sent as a bearer token. `authorities`: PEM that counts
   * beside the public certificates. `fromNow`: without what was sealed before. The same address goes on where it was.
   */
  setStream: {
    input: z.object({ url, token: token.optional(), authorities: authorities.optional(), fromNow: z.boolean().default(false) }),
    output: state.extend({ secret: z.string() }),
  },
  /** Ends it and forgets the credentials. Needs `audit:export`. @throws NO_AUDIT_STREAM */
  stopStream: { input: z.object({}), output: z.object({ cursor: z.number() }) },
  /** Null where nothing is streamed. Needs `audit:export`; also for the operator. */
  streamState: { input: z.object({}), output: z.object({ state: state.nullable() }) },
  /** The operator answers for a private address. @throws NO_AUDIT_STREAM */
  vouchForStream: { input: z.object({}), output: state },
} satisfies Methods

export type AuditStreams = ContractOf<typeof streamMethods>
