import type { KeyObject } from 'node:crypto'

export interface Report {
  readonly ok: boolean
  readonly tenant: string | null
  readonly rows: number
  /** Lines that are shown by their digest alone: somebody else's, or somebody left out what they say. */
  readonly withheld: number
  readonly checkpoints: number
  readonly from: number
  readonly head: { readonly seq: number; readonly hash: string | null }
  readonly anchored: { readonly seq: number; readonly at: string } | null
  readonly unanchored: { readonly rows: number; readonly from: number | null; readonly unsealed: number }
  readonly firstBad: {
    readonly seq: number
    readonly eventId: string | null
    readonly problem: string
    readonly sentence: string
  } | null
  readonly notes: readonly string[]
}

export function genesis(tenant: string): Buffer
export function digestOf(event: unknown): Buffer | null
export function linkHash(prev: Buffer, seq: number, digest: Buffer): Buffer
/** @throws Error when a text is no Ed25519 public key. */
export function readKeys(texts: readonly string[]): Map<string, KeyObject>
export function verify(given: {
  readonly lines: AsyncIterable<string> | Iterable<string>
  readonly checkpoints: Iterable<string>
  readonly keys: ReadonlyMap<string, KeyObject>
  /** Anywhere: the export need not begin at line 1. */
  readonly from?: 'start' | 'anywhere'
  /** Anywhere: it need not reach the newest checkpoint. */
  readonly to?: 'end' | 'anywhere'
}): Promise<Report>
export function describe(report: Report): string

export interface CertificateReport {
  readonly ok: boolean
  /** The signed body; null when it was not even signed. */
  readonly certificate: { readonly id: string; readonly about: 'recipient' | 'tenant'; readonly audit: { readonly seq: number } } | null
  /** An export was given, and the act stands in it. */
  readonly inTrail: boolean
  readonly problem: 'certificate' | 'trail' | 'head' | 'act' | null
  readonly sentence: string | null
  readonly trail: Report | null
}

export function verifyCertificate(given: {
  readonly text: string
  readonly keys: ReadonlyMap<string, KeyObject>
  readonly lines?: AsyncIterable<string> | Iterable<string>
  readonly checkpoints?: Iterable<string>
  readonly from?: 'start' | 'anywhere'
  readonly to?: 'end' | 'anywhere'
}): Promise<CertificateReport>
export function describeCertificate(report: CertificateReport): string
