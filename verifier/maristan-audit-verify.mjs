#!/usr/bin/env node
/**
 * Proves an exported audit trail, or names its first bent line. One file without dependencies: copy it anywhere and run it with Node 20
 * or newer. It believes nothing that comes with the export: checkpoints and the public key are given separately, and should have been
 * kept where whoever runs the server's database cannot write.
 *
 *     node maristan-audit-verify.mjs --export FILE... --checkpoints FILE|DIRECTORY... --key FILE... [--partial] [--json]
 *     node maristan-audit-verify.mjs --certificate FILE --key FILE... [--export FILE... --checkpoints FILE|DIRECTORY...] [--json]
 *
 * What is proven: every line's hash covers the line, its number and the hash before it (SHA-256); checkpoints are signed (Ed25519) and
 * hold marks of those hashes, so that a chain computed anew, cut or forked after it was signed differs from them.
 * Exit status: 0 whole, 1 bent, 2 wrong usage or unreadable input.
 */
import { createHash, createPublicKey, verify as verifySignature } from 'node:crypto'
import { createReadStream, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

/** The columns of a line, in the order in which its canonical text holds them. */
const columns = [
  'tenant_id', 'id', 'epoch', 'xid', 'at', 'actor_kind', 'actor_id', 'plane', 'action', 'resource', 'resource_id', 'subject_id',
  'outcome', 'purpose', 'request_id', 'session_id', 'sign_in_method', 'source_address', 'user_agent', 'detail',
]
const markBytes = 8
const hashShape = /^[0-9a-f]{64}$/

const sha256 = (bytes) => createHash('sha256').update(bytes).digest()

/** What a tenant's first link stands on. */
export const genesis = (tenant) => sha256(`maristan audit chain 1 ${tenant}`)

/** The digest of a line: of the JSON array of its columns' texts. Null when it is not a line at all. */
export function digestOf(event) {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) return null
  const names = Object.keys(event)
  // A column more would look like part of the line and be covered by nothing.
  if (names.length !== columns.length || names.some((name) => !columns.includes(name))) return null
  if (columns.some((name) => event[name] !== null && typeof event[name] !== 'string')) return null
  return sha256(`[${columns.map((name) => JSON.stringify(event[name])).join(', ')}]`)
}

/** The hash of link `seq`. */
export function linkHash(prev, seq, digest) {
  const number = Buffer.alloc(8)
  number.writeBigUInt64BE(BigInt(seq))
  return sha256(Buffer.concat([prev, number, digest]))
}

/** Reads public keys: PEM, a JWK, or a set of JWKs. @returns a map from key id to key. @throws Error */
export function readKeys(texts) {
  const keys = new Map()
  const add = (key) => {
    if (key.asymmetricKeyType !== 'ed25519') throw new Error('A public key is not an Ed25519 key.')
    const raw = Buffer.from(key.export({ format: 'jwk' }).x, 'base64url')
    // The id follows from the key: nobody gives one key another's name.
    keys.set(sha256(raw).toString('hex').slice(0, 32), key)
  }
  for (const text of texts) {
    if (text.includes('-----BEGIN')) add(createPublicKey(text))
    else {
      const found = JSON.parse(text)
      for (const { kty, crv, x } of Array.isArray(found.keys) ? found.keys : [found]) add(createPublicKey({ key: { kty, crv, x }, format: 'jwk' }))
    }
  }
  return keys
}

const isCount = (value) => Number.isSafeInteger(value) && value >= 0

/**
 * The shortest time for which lines are kept, and how long after a month's end a line that is removed with it may have been written (lines of
 * transactions that ran at midnight), or signed for, where a checkpoint does not say when its line was written.
 */
const retentionYears = 6
const lateMs = 31 * 86_400_000

/** The signed end of months that were removed because their time was over. @throws Error saying why it is none. */
function readRetired({ version, tenant, seq, hash, before, at }) {
  const [ended, signedAt] = [new Date(before), new Date(at)]
  const wellFormed = typeof tenant === 'string' && isCount(seq) && seq > 0 && hashShape.test(hash) && version === 1
  if (!wellFormed || Number.isNaN(ended.getTime()) || Number.isNaN(signedAt.getTime())) throw new Error('says nothing that can be checked')
  ended.setUTCFullYear(ended.getUTCFullYear() + retentionYears)
  if (ended > signedAt) throw new Error(`removes lines that are younger than ${retentionYears} years`)
  return { retired: true, tenant, seq, hash, before, at }
}

/** The retirement by which a chain may begin after line `seq`: null when there is none that says so. */
function retirementFor(seq, prev, retirements, checkpoints) {
  const found = retirements.find((one) => one.seq === seq && one.hash === prev)
  if (!found) return null
  // A line that was written long after the month was not of that month.
  const younger = checkpoints.some((one) => one.seq <= seq && new Date(one.written ?? one.at).getTime() > new Date(found.before).getTime() + lateMs)
  return younger ? null : found
}

/** One signed checkpoint out of its line. @throws Error saying why it is none. */
function readCheckpoint(text, keys) {
  const { checkpoint, key, signature } = JSON.parse(text)
  if (typeof checkpoint !== 'string' || typeof signature !== 'string') throw new Error('is not a signed checkpoint')
  const publicKey = keys.get(key)
  if (!publicKey) throw new Error('is signed with a key that was not given')
  if (!verifySignature(null, Buffer.from(checkpoint), publicKey, Buffer.from(signature, 'base64url'))) throw new Error('has a wrong signature')
  const body = JSON.parse(checkpoint)
  if (body.kind === 'maristan.audit.retired') return readRetired(body)
  const { kind, version, tenant, seq, hash, at, written, after, stride, marks } = body
  if (kind !== 'maristan.audit.checkpoint' || version !== 1) throw new Error('is of a kind that this verifier does not read')
  const wellFormed =
    typeof tenant === 'string' && typeof at === 'string' && typeof marks === 'string' && hashShape.test(hash) && isCount(seq) && isCount(after)
  const isDated = [at, written ?? at].every((moment) => !Number.isNaN(new Date(moment).getTime()))
  if (!wellFormed || !isDated || !isCount(stride) || stride < 1 || after >= seq) throw new Error('says nothing that can be checked')
  const bytes = Buffer.from(marks, 'base64')
  if (bytes.length !== markBytes * Math.floor((seq - after) / stride)) throw new Error('has too many marks or too few')
  return { tenant, seq, hash: Buffer.from(hash, 'hex'), at, written, after, stride, marks: bytes }
}

/** Whether a checkpoint says anything of link `seq`, and the same: null when it says nothing. */
function agrees({ after, stride, marks, seq: head, hash: headHash }, seq, hash) {
  if (seq > head || seq <= after) return null
  if (seq === head && !headHash.equals(hash)) return false
  const place = (seq - after) / stride
  if (!Number.isInteger(place)) return seq === head ? true : null
  return marks.subarray(markBytes * (place - 1), markBytes * place).equals(hash.subarray(0, markBytes))
}

/**
 * Verifies the lines of an export.
 * @param {{ lines: AsyncIterable<string> | Iterable<string>, checkpoints: Iterable<string>, keys: Map<string, unknown>,
 *   from?: 'start' | 'anywhere', to?: 'end' | 'anywhere' }} given
 *   `checkpoints` are lines of signed checkpoints, of any tenant; `from` anywhere: the export need not begin at line 1; `to`
 *   anywhere: it need not reach the newest checkpoint.
 */
export async function verify({ lines, checkpoints, keys, from: begins = 'start', to = 'end' }) {
  const notes = []
  let firstBad = null
  const bad = (seq, problem, sentence, eventId = null) => {
    firstBad ??= { seq, eventId, problem, sentence }
  }
  const signed = []
  for (const text of checkpoints) {
    if (text.trim() === '') continue
    try {
      signed.push(readCheckpoint(text, keys))
    } catch (error) {
      bad(0, 'checkpoint', `A checkpoint ${error instanceof SyntaxError ? 'is no JSON' : error.message}.`)
    }
  }

  let tenant = null
  let seq = 0
  let hash = null
  let from = 0
  let rows = 0
  let unsealed = 0
  /** Lines of which only the digest is shown. */
  let withheld = 0
  let last = null
  let ended = null
  let mine = []
  let next = 0
  let anchored = null
  /** After the first bent line: what a later one may still tell about it. */
  let missing = null
  let displaced = null

  const begin = (head) => {
    const wellFormed = head.kind === 'maristan.audit.export' && head.version === 1 && typeof head.tenant === 'string' && isCount(head.after)
    if (!wellFormed || !hashShape.test(head.prev)) return bad(0, 'malformed', 'The export begins with something else than its head.')
    if (tenant !== null) {
      // Another batch of the same trail goes on where the one before ended.
      const joins = head.tenant === tenant && head.after === seq && head.prev === hash.toString('hex')
      if (!joins) bad(seq + 1, 'deleted', `The next batch does not go on where the one before ended, at line ${seq}.`)
      ended = null
      return
    }
    tenant = head.tenant
    seq = head.after
    from = seq + 1
    hash = Buffer.from(head.prev, 'hex')
    const retirements = signed.filter((one) => one.tenant === tenant && one.retired)
    mine = signed.filter((one) => one.tenant === tenant && !one.retired).sort((a, b) => a.seq - b.seq || a.after - b.after)
    for (const [i, one] of mine.entries()) {
      const before = mine[i - 1]
      if (one.after > (before?.seq ?? 0)) notes.push(`No checkpoint says anything of lines ${(before?.seq ?? 0) + 1} to ${one.after}.`)
      if (before && (one.seq === before.seq ? !one.hash.equals(before.hash) : agrees(one, before.seq, before.hash) === false)) {
        bad(before.seq, 'forked', `Two signed checkpoints contradict one another at line ${before.seq}: two chains were shown.`)
      }
    }
    if (seq === 0 && !hash.equals(genesis(tenant))) bad(1, 'forked', 'The chain does not begin as the chain of this tenant begins.')
    if (seq > 0 && begins === 'start') {
      const retired = retirementFor(seq, head.prev, retirements, mine)
      if (retired) notes.push(`Lines 1 to ${seq} were written before ${retired.before} and removed after their time, as signed at ${retired.at}.`)
      else bad(1, 'deleted', `Lines 1 to ${seq} are not in the export.`)
    }
    if (seq > 0 && mine.some((one) => agrees(one, seq, hash) === false)) bad(seq, 'recomputed', `The export goes on from a line ${seq} that is not the one that was signed.`)
  }

  /** Compares a link that fits with everything that was signed of it. */
  const compare = (eventId) => {
    while (next < mine.length && mine[next].seq < seq) next++
    for (let k = next; k < mine.length; k++) {
      if (mine[k].after >= seq) break
      const same = agrees(mine[k], seq, hash)
      if (same === false) {
        const since = mine[k].stride > 1 ? ` It, or one of the ${mine[k].stride - 1} before it.` : ''
        return bad(seq, 'recomputed', `Line ${seq} is not the one that was signed at ${mine[k].at}: the chain was computed anew from here, or forked.${since}`, eventId)
      }
      if (same && mine[k].seq === seq) anchored = { seq, at: mine[k].at }
    }
  }

  const look = (line, digest) => {
    if (missing !== null && line.seq === missing.seq) {
      firstBad = { ...missing, eventId: line.event?.id ?? null, problem: 'reordered', sentence: `Line ${line.seq} stands in another place.` }
      missing = null
    }
    if (displaced !== null && digest !== null && hashShape.test(line.prev ?? '') && isCount(line.seq) && line.seq > 0) {
      const fits = linkHash(Buffer.from(line.prev, 'hex'), line.seq, displaced.digest).toString('hex') === line.hash
      if (fits) {
        firstBad = { ...displaced.bad, problem: 'reordered', sentence: `Line ${displaced.bad.seq} holds what belongs in line ${line.seq}.` }
        displaced = null
      }
    }
  }

  const take = (line) => {
    const whole = Object.hasOwn(line, 'event')
    const eventId = line.event?.id ?? null
    const digest = whole ? digestOf(line.event) : hashShape.test(line.digest) ? Buffer.from(line.digest, 'hex') : null
    if (firstBad !== null) return look(line, digest)
    const expected = seq + 1
    if (!isCount(line.seq) || !hashShape.test(line.hash)) return bad(expected, 'malformed', `What stands for line ${expected} is no line of an export.`)
    if (line.seq < expected) return bad(line.seq, 'forked', `There are two lines ${line.seq}.`, eventId)
    if (line.seq > expected) {
      bad(expected, 'deleted', `Line ${expected} is missing.`)
      missing = firstBad
      return
    }
    if (whole && line.event === null) return bad(expected, 'deleted', `Line ${expected} has its place in the chain, and is gone.`)
    if (digest === null) return bad(expected, 'edited', `Line ${expected} is not of the shape of a line.`, eventId)
    if (whole && line.event.tenant_id !== tenant) return bad(expected, 'edited', `Line ${expected} is another tenant's.`, eventId)
    const prev = hashShape.test(line.prev ?? '') ? Buffer.from(line.prev, 'hex') : hash
    const made = linkHash(hash, expected, digest)
    if (made.toString('hex') !== line.hash || !prev.equals(hash)) {
      if (!prev.equals(hash) && linkHash(prev, expected, digest).toString('hex') === line.hash) {
        return bad(expected, 'forked', `Line ${expected} follows another line ${seq} than this one.`, eventId)
      }
      if (!prev.equals(hash) && linkHash(prev, expected + 1, digest).toString('hex') === line.hash) {
        return bad(expected, 'deleted', `Line ${expected} is missing, and the ones after it were numbered anew.`)
      }
      bad(expected, 'edited', `Line ${expected} is not what was sealed.`, eventId)
      displaced = { bad: firstBad, digest }
      return
    }
    seq = expected
    hash = made
    if (whole) last = line.event
    else withheld++
    compare(eventId)
  }

  const takeUnsealed = (event) => {
    unsealed++
    if (firstBad !== null) return
    if (digestOf(event) === null || event.tenant_id !== tenant) return bad(seq + 1, 'malformed', 'A line that is not sealed yet is no line.')
    if (last !== null && isBefore(event, last)) {
      bad(seq + 1, 'inserted', 'A line without a place in the chain stands before others that have theirs.', event.id)
    }
  }

  for await (const text of lines) {
    if (text.trim() === '') continue
    let line
    try {
      line = JSON.parse(text)
    } catch {
      line = null
    }
    if (typeof line !== 'object' || line === null) {
      bad(seq + 1, 'malformed', `After line ${seq} the export is no JSON.`)
      continue
    }
    if (line.kind === 'maristan.audit.export') begin(line)
    else if (tenant === null) {
      bad(0, 'malformed', 'The export does not begin with its head.')
      break
    } else if (line.kind === 'end') ended = line
    else if (line.seq === null) takeUnsealed(line.event)
    else {
      rows++
      take(line)
    }
  }

  if (tenant === null) bad(0, 'malformed', 'The export is empty.')
  else if (firstBad === null) {
    if (ended === null || ended.seq !== seq) bad(seq + 1, 'truncated', `The export ends in the middle, after line ${seq}.`)
    const newest = mine.at(-1)
    if (to === 'end' && newest && newest.seq > seq) {
      bad(seq + 1, 'truncated', `Line ${seq + 1} is missing: at ${newest.at} there were ${newest.seq} lines.`)
    }
  }
  if (withheld > 0) notes.push(`${withheld} of the lines are shown by their digest alone: each has its place, and what it says is not in this export.`)
  const through = anchored?.seq ?? Math.max(0, from - 1)
  return {
    ok: firstBad === null,
    tenant,
    rows,
    withheld,
    checkpoints: mine.length,
    from,
    head: { seq, hash: hash?.toString('hex') ?? null },
    anchored,
    unanchored: { rows: Math.max(0, seq - through), from: seq > through ? through + 1 : null, unsealed },
    firstBad,
    notes,
  }
}

/** Whether a line was numbered before another: by epoch, transaction and id. */
function isBefore(one, other) {
  const numbers = (event) => [BigInt(event.epoch), BigInt(event.xid)]
  const [[epoch, xid], [otherEpoch, otherXid]] = [numbers(one), numbers(other)]
  return epoch !== otherEpoch ? epoch < otherEpoch : xid !== otherXid ? xid < otherXid : one.id < other.id
}

/** What was found, in sentences. */
export function describe(report) {
  const { ok, tenant, rows, checkpoints, from, head, anchored, unanchored, firstBad, notes } = report
  const said = [
    ok ? 'WHOLE' : `BENT at line ${firstBad.seq}: ${firstBad.problem}. ${firstBad.sentence}${firstBad.eventId ? ` Event ${firstBad.eventId}.` : ''}`,
    `tenant ${tenant}: ${rows} lines from ${from}, head ${head.seq} ${head.hash ?? ''}`,
    `${checkpoints} signed checkpoints; anchored up to line ${anchored?.seq ?? 0}${anchored ? `, signed at ${anchored.at}` : ''}`,
    unanchored.rows + unanchored.unsealed === 0
      ? 'no unanchored tail'
      : `unanchored tail: ${unanchored.rows} lines${unanchored.from === null ? '' : ` from ${unanchored.from}`}, and ${unanchored.unsealed} not yet sealed`,
    ...notes,
  ]
  return said.join('\n')
}

/**
 * Verifies a certificate of destroyed keys: its signature, and with an export that the act stands in a whole trail, at or before the
 * head that the certificate names. Without an export only the signature is proven, and that is said.
 * @param {{ text: string, keys: Map<string, unknown>, lines?: AsyncIterable<string> | Iterable<string>, checkpoints?: Iterable<string>,
 *   from?: 'start' | 'anywhere', to?: 'end' | 'anywhere' }} given
 */
export async function verifyCertificate({ text, keys, lines, checkpoints = [], from = 'start', to = 'end' }) {
  const refused = (problem, sentence, body = null, trail = null) => ({ ok: false, certificate: body, inTrail: false, problem, sentence, trail })
  let body
  try {
    body = readCertificate(text, keys)
  } catch (error) {
    return refused('certificate', `The certificate ${error instanceof SyntaxError ? 'is no JSON' : error.message}.`)
  }
  if (lines === undefined) return { ok: true, certificate: body, inTrail: false, problem: null, sentence: null, trail: null }
  const seen = { head: null, act: null }
  const trail = await verify({ lines: watching(lines, body, seen), checkpoints, keys, from, to })
  if (!trail.ok) return refused('trail', 'The trail that came with the certificate is bent.', body, trail)
  if (trail.tenant !== body.tenant) return refused('trail', 'The trail is another tenant\'s.', body, trail)
  if (seen.head !== body.audit.hash) return refused('head', `Line ${body.audit.seq} of the trail is not the one that the certificate names.`, body, trail)
  if (seen.act === null) return refused('act', `The trail says nothing of this act up to line ${body.audit.seq}.`, body, trail)
  return { ok: true, certificate: body, inTrail: true, problem: null, sentence: null, trail }
}

/** The body of a signed certificate. @throws Error saying why it is none. */
function readCertificate(text, keys) {
  const { certificate, key, signature } = JSON.parse(text)
  if (typeof certificate !== 'string' || typeof signature !== 'string') throw new Error('is not a signed certificate')
  const publicKey = keys.get(key)
  if (!publicKey) throw new Error('is signed with a key that was not given')
  if (!verifySignature(null, Buffer.from(certificate), publicKey, Buffer.from(signature, 'base64url'))) throw new Error('has a wrong signature')
  const body = JSON.parse(certificate)
  const { kind, version, about, id, tenant, audit, backups } = body
  if (kind !== 'maristan.certificate' || version !== 1) throw new Error('is of a kind that this verifier does not read')
  const wellFormed = ['recipient', 'tenant'].includes(about) && typeof id === 'string' && typeof tenant === 'string' && typeof backups === 'object'
  if (!wellFormed || !isCount(audit?.seq) || !hashShape.test(audit.hash)) throw new Error('says nothing that can be checked')
  return body
}

/** The same lines; notes the hash of the head that a certificate names, and the line of its act. What is noted counts once they verified. */
async function* watching(lines, { id, about, audit }, seen) {
  const action = about === 'tenant' ? 'offboarding.swept' : 'subject.erased'
  for await (const text of lines) {
    try {
      const { seq, hash, event } = JSON.parse(text)
      if (seq === audit.seq) seen.head = hash
      const isAct = isCount(seq) && seq <= audit.seq && event?.action === action && event.outcome === 'done'
      if (isAct && JSON.parse(event.detail).certificateId === id) seen.act = seq
    } catch {
      // A line that is none is named by whoever verifies it.
    }
    yield text
  }
}

/** What the building wrote itself and still keeps, a line each. */
function knownBackups(known) {
  if (!Array.isArray(known)) return []
  if (known.length === 0) return ['the building keeps no backup that holds what was destroyed']
  return known.map(({ kind, madeAt, keepUntil, openedBy, sha256 }) => {
    const until = keepUntil === null ? 'until whoever has it ends it' : `until ${keepUntil}`
    return `${kind} made at ${madeAt}, opened by ${openedBy}, kept ${until}: sha256 ${sha256}`
  })
}

/** What was found of a certificate, in sentences. */
export function describeCertificate({ ok, certificate: body, inTrail, sentence, trail }) {
  if (!ok) return [`REFUSED: ${sentence}`, ...(trail === null ? [] : [describe(trail)])].join('\n')
  const { about, tenant, subject, slug, destroyedAt, keys, audit, backups, id } = body
  const until = backups.openUntil === null ? 'nobody said until when they are kept' : `they are kept until ${backups.openUntil}`
  return [
    `GENUINE: certificate ${id}`,
    `${about === 'tenant' ? `tenant ${slug ?? tenant}` : `recipient ${subject} of tenant ${tenant}`}: ${keys.length} keys destroyed at ${destroyedAt}`,
    inTrail ? `in the trail, at or before line ${audit.seq}` : `the trail was not given: only the signature is proven (line ${audit.seq} is named)`,
    `backups made before ${backups.madeBefore} hold wrapped keys: of any made elsewhere ${until}`,
    ...knownBackups(backups.known),
    ...(trail === null ? [] : [describe(trail)]),
  ].join('\n')
}

async function* linesOf(paths) {
  for (const path of paths) yield* createInterface({ input: createReadStream(path, 'utf8'), crlfDelay: Infinity })
}

function filesOf(path) {
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path, { recursive: true })
    .map((name) => join(path, String(name)))
    .filter((file) => file.endsWith('.jsonl'))
    .sort()
}

async function main() {
  const trailUsage = '--export FILE... --checkpoints FILE|DIRECTORY...'
  const usage = `Usage: node maristan-audit-verify.mjs [--certificate FILE] ${trailUsage} --key FILE... [--partial] [--json]`
  const many = { type: 'string', multiple: true, default: [] }
  let values
  try {
    const flag = { type: 'boolean', default: false }
    const options = { export: many, checkpoints: many, key: many, certificate: { type: 'string' }, partial: flag, json: flag }
    values = parseArgs({ options }).values
    const withoutTrail = values.export.length === 0 || values.checkpoints.length === 0
    if (values.key.length === 0 || (withoutTrail && (values.certificate === undefined || values.export.length > 0))) throw new Error('Something is not given.')
  } catch (error) {
    console.error(`${error.message}\n${usage}`)
    return 2
  }
  try {
    const keys = readKeys(values.key.map((path) => readFileSync(path, 'utf8')))
    const checkpoints = values.checkpoints.flatMap(filesOf).flatMap((path) => readFileSync(path, 'utf8').split('\n'))
    const part = values.partial ? { from: 'anywhere', to: 'anywhere' } : {}
    if (values.certificate !== undefined) {
      const trail = values.export.length === 0 ? {} : { lines: linesOf(values.export), checkpoints, ...part }
      const report = await verifyCertificate({ text: readFileSync(values.certificate, 'utf8'), keys, ...trail })
      console.log(values.json ? JSON.stringify(report, null, 2) : describeCertificate(report))
      return report.ok ? 0 : 1
    }
    const report = await verify({ lines: linesOf(values.export), checkpoints, keys, ...part })
    console.log(values.json ? JSON.stringify(report, null, 2) : describe(report))
    return report.ok ? 0 : 1
  } catch (error) {
    console.error(`Nothing could be verified: ${error.message}`)
    return 2
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === realpathSync(fileURLToPath(import.meta.url))) process.exitCode = await main()
