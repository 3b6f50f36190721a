/** Every environment variable, parsed once. A wrong value stops the start with a sentence that says what to write. */
import { isIP } from 'node:net'
import { join, resolve } from 'node:path'
import { z } from 'zod'

const flag = z.enum(['0', '1'], { error: 'write 0 or 1' }).transform((text) => text === '1')
const postgresUrl = z.url({ protocol: /^postgres(ql)?$/, error: 'write postgres://host:port/database' })
const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `write a whole number from ${least} to ${most}`)
    .transform(Number)
    .pipe(z.number().min(least).max(most))

const variables = z.object({
  /** Where the server listens. */
  PORT: wholeNumber(0, 65_535).default(4000),
  HOST: z.string().min(1).default('127.0.0.1'),
  /** Where the embedded database, keys, mail spool and demo file live. */
  DATA_DIR: z.string().min(1).default('.data'),
  /** A Postgres of your own (15 or newer); unset: the embedded one. Its user and password are replaced by each login's. */
  DATABASE_URL: postgresUrl.optional(),
  /** The owner's connection, for migrations, backup and `doctor` only. */
  DATABASE_OWNER_URL: postgresUrl.optional(),
  /** From it every login's password is derived. Embedded mode makes its own. */
  DATABASE_LOGIN_SECRET: z.string().min(32, 'write at least 32 characters').optional(),
  /** 0 behind a transaction-mode pooler that carries no prepared statements (pgbouncer before 1.21). */
  DATABASE_PREPARED_STATEMENTS: flag.default(true),
  /** Addresses or networks (CIDR, comma-separated) whose forwarded headers are believed. */
  TRUSTED_PROXIES: z
    .string()
    .default('')
    .transform((text) => text.split(',').map((one) => one.trim()).filter((one) => one !== '')),
  MARISTAN_DEMO: flag.optional(),
  KMS_PROVIDER: z.enum(['local', 'aws'], { error: 'write local or aws' }).optional(),
  /** With aws: id, ARN or alias of the building's own key. */
  KMS_KEY_ID: z.string().min(1).max(2_048).optional(),
  AWS_REGION: z.string().min(1).optional(),
  /** Instead of AWS's own address: a private endpoint. */
  AWS_ENDPOINT_URL_KMS: z.url({ protocol: /^https?$/, error: 'write https://host' }).optional(),
  /** Where signed checkpoints of the audit trail go: a directory, or s3://bucket/prefix of a bucket with object lock. */
  AUDIT_CHECKPOINTS: z
    .string()
    .regex(/^(s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[\w.-]+)*|(?!s3:)[^\0]+)$/, 'write a directory, or s3://bucket/prefix')
    .optional(),
  /** How long the audit trail, and what anchors it, must be kept. */
  AUDIT_RETENTION_YEARS: wholeNumber(6, 100).default(6),
  /** Hours between the request that a tenant leaves and the first step of it; 30 days unless told, never below a day. */
  OFFBOARDING_WAIT_HOURS: wholeNumber(0, 8_760).default(720),
  BACKUP_KEEP_DAYS: wholeNumber(1, 36_500).default(35),
  /** How old the newest backup may be, in hours, before `doctor` warns; 0: it never does. */
  BACKUP_WARN_HOURS: wholeNumber(0, 8_760).default(26),
  AWS_ENDPOINT_URL_S3: z.url().optional(),
  /** How the outside reaches us; links in mails and token issuers are made of it. */
  PUBLIC_URL: z.url({ protocol: /^https?$/, error: 'write https://host' }).optional(),
  /** Requests of one tenant's directories in a minute; above it 429 with Retry-After. Counted in each process. */
  SCIM_REQUESTS_PER_MINUTE: wholeNumber(1, 1_000_000).default(3_000),
  LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent'], { error: 'write debug, info, warn, error or silent' }).default('info'),
  /** A bearer that may read /metrics from elsewhere than this machine. */
  METRICS_TOKEN: z.string().min(32, 'write at least 32 characters').optional(),
})

export type KmsConfig =
  | { readonly provider: 'local' }
  | { readonly provider: 'aws'; readonly keyId: string; readonly region: string; readonly endpoint: string | null }

export interface Config {
  readonly port: number
  readonly host: string
  readonly dataDir: string
  readonly databaseUrl: string | null
  readonly databaseOwnerUrl: string | null
  readonly databaseLoginSecret: string | null
  readonly preparedStatements: boolean
  readonly trustedProxies: readonly string[]
  /** Synthetic tenants, GraphiQL, introspection. Only ever on a loopback address. */
  readonly demo: boolean
  readonly kms: KmsConfig
  /** A directory, or `s3://bucket/prefix`. */
  readonly auditCheckpoints: string
  /** At least six. */
  readonly auditRetentionYears: number
  readonly offboardingWaitHours: number
  /** How long a backup is kept unless its command says otherwise. */
  readonly backupKeepDays: number
  readonly backupWarnHours: number
  readonly awsRegion: string | null
  readonly s3Endpoint: string | null
  readonly publicUrl: string | null
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  readonly metricsToken: string | null
  readonly scimRequestsPerMinute: number
}

/** A configuration that cannot be: `problems` says for each variable what to write. */
export class BadConfiguration extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`The configuration is wrong:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
    this.name = 'BadConfiguration'
    this.problems = problems
  }
}

export const isLoopbackHost = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))

function checkpointsIn(given: string | undefined, dataDir: string): string {
  if (given === undefined) return join(dataDir, 'checkpoints')
  return given.startsWith('s3://') ? given : resolve(given)
}

/** Reads the environment. @throws {BadConfiguration} naming every wrong variable, never its value. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''))
  const parsed = variables.safeParse(given)
  if (!parsed.success) {
    throw new BadConfiguration(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`))
  }
  const { data } = parsed
  const embedded = data.DATABASE_URL === undefined
  const demo = data.MARISTAN_DEMO ?? embedded
  const problems: string[] = []
  if (!embedded && data.DATABASE_LOGIN_SECRET === undefined) {
    problems.push('DATABASE_LOGIN_SECRET: write a secret of at least 32 characters; the logins of DATABASE_URL are derived from it')
  }
  if (!embedded && data.KMS_PROVIDER === undefined) {
    problems.push('KMS_PROVIDER: write local or aws; with DATABASE_URL there is no default, so that a lost key file is an error and not a new key')
  }
  const aws = data.KMS_PROVIDER === 'aws'
  if (aws && data.KMS_KEY_ID === undefined) problems.push('KMS_KEY_ID: with KMS_PROVIDER=aws, write the id, ARN or alias of the key')
  if (aws && data.AWS_REGION === undefined) problems.push('AWS_REGION: with KMS_PROVIDER=aws, write the region of the key')
  if (demo && !isLoopbackHost(data.HOST)) {
    problems.push('HOST: demo mode has published passwords and listens on a loopback address only; write 127.0.0.1, or MARISTAN_DEMO=0')
  }
  if (!demo && data.OFFBOARDING_WAIT_HOURS < 24) {
    problems.push('OFFBOARDING_WAIT_HOURS: write at least 24; less is for demo mode alone')
  }
  if (problems.length > 0) throw new BadConfiguration(problems)
  return {
    port: data.PORT,
    host: data.HOST,
    dataDir: resolve(data.DATA_DIR),
    databaseUrl: data.DATABASE_URL ?? null,
    databaseOwnerUrl: data.DATABASE_OWNER_URL ?? null,
    databaseLoginSecret: data.DATABASE_LOGIN_SECRET ?? null,
    preparedStatements: data.DATABASE_PREPARED_STATEMENTS,
    trustedProxies: data.TRUSTED_PROXIES,
    demo,
    kms: aws
      ? { provider: 'aws', keyId: data.KMS_KEY_ID!, region: data.AWS_REGION!, endpoint: data.AWS_ENDPOINT_URL_KMS ?? null }
      : { provider: 'local' },
    auditCheckpoints: checkpointsIn(data.AUDIT_CHECKPOINTS, resolve(data.DATA_DIR)),
    auditRetentionYears: data.AUDIT_RETENTION_YEARS,
    offboardingWaitHours: data.OFFBOARDING_WAIT_HOURS,
    backupKeepDays: data.BACKUP_KEEP_DAYS,
    backupWarnHours: data.BACKUP_WARN_HOURS,
    awsRegion: data.AWS_REGION ?? null,
    s3Endpoint: data.AWS_ENDPOINT_URL_S3 ?? null,
    publicUrl: data.PUBLIC_URL ?? null,
    logLevel: data.LOG_LEVEL,
    metricsToken: data.METRICS_TOKEN ?? null,
    scimRequestsPerMinute: data.SCIM_REQUESTS_PER_MINUTE,
  }
}
