/**
 * What may be done to a connection, whoever does it: `by` says with which authority. Its callers have decided that somebody may do this at
 * all; it refuses what that somebody may not (privileged roles, or another provider beneath them, through a setup link; enforcement too soon).
 */
import { Fault, invalidInput, notFound, staleVersion } from '../../../kernel/fault.ts'
import { newId } from '../../../kernel/id.ts'
import type { Scope } from '../../../kernel/scope.ts'
import { isUniqueViolation } from '../../../platform/db/errors.ts'
import { randomToken } from '../../../platform/crypto/hash.ts'
import { connectionsFull, domainNotProven, enforcementTooSoon, entityTaken, metadataRefused, providerNeedsAdmin, roleNeedsAdmin } from './contract.ts'
import { reasonSentence } from './reasons.ts'
import type { IdpMetadata, MetadataCertificate } from './guard/verdict.ts'
import { hashOf, type Parts } from './parts.ts'
import { mostConnections, type Connection, type ConnectionChange } from './repo.ts'
import { isSettled, metadataBounds, privilegedRoles, type MappableRole } from './rules.ts'
import type { Standing } from './standing.ts'

type Settings = Partial<Pick<ConnectionChange, 'name' | 'vendor' | 'allowUnsolicited' | 'jitAllowed' | 'jitRole' | 'emailAttribute' | 'idAttribute'>> & { directoryId?: string | null }

/** An administrator of the tenant, its IT by a setup link, or the operator. */
export type Authority = 'ADMIN' | 'SETUP' | 'OPERATOR'

export const txtName = (domain: string): string => `_maristan-sso.${domain}`
export const txtValue = (challenge: string): string => `maristan-sso=${challenge}`

export function createConnections(parts: Parts, standing: Standing) {
  const { repo, traffic, guard, identity, egress, clock, config, txtOf } = parts
  const now = () => new Date(clock.nowMs())

  const existing = async (scope: Scope, id: string): Promise<Connection> => {
    const found = await repo.find(scope, id)
    if (!found) throw notFound()
    return found
  }

  const note = (scope: Scope, action: string, id: string, detail: Readonly<Record<string, string | number | boolean>> = {}): void =>
    scope.unit.record({ action: `saml.${action}`, resource: 'SsoConnection', resourceId: id, outcome: 'done', detail })

  const read = (xml: Uint8Array, vouched = false): IdpMetadata => {
    const plainHttp = vouched ? 'anywhere' : config.publicUrl === null ? 'own machine' : 'nowhere'
    const verdict = guard.readMetadata({ xml, now: now(), plainHttp })
    if (!verdict.ok) throw metadataRefused({ reason: verdict.reason, sentence: reasonSentence(verdict.reason, 'en') })
    return verdict.metadata
  }

  /** The change that a provider's metadata makes: its name and addresses. */
  const changeBy = (metadata: IdpMetadata): ConnectionChange => {
    const pick = <Endpoint extends { binding: string }>(endpoints: readonly Endpoint[]) =>
      endpoints.find(({ binding }) => binding === 'redirect') ?? endpoints[0]
    const sso = pick(metadata.singleSignOn)
    const slo = pick(metadata.singleLogout)
    return {
      entityId: metadata.entityId,
      ssoUrl: sso?.url ?? null,
      ssoBinding: sso?.binding ?? null,
      sloUrl: slo?.url ?? null,
      sloBinding: slo?.binding ?? null,
      sloResponseUrl: slo?.responseUrl ?? null,
    }
  }

  /** A document with an end is read whole every day: "not modified" says nothing of an end that has passed meanwhile. */
  const tagOf = ({ validUntil }: IdpMetadata, etag: string | null): string | null => (validUntil === null ? etag : null)

  const fetched = async (url: string, vouched: boolean): Promise<{ xml: Uint8Array; etag: string | null }> => {
    const answer = await egress.get(url, { ...metadataBounds, vouched })
    if (answer.status !== 200) throw metadataRefused({ reason: 'STATUS', sentence: `its address answered ${answer.status}.` })
    return { xml: answer.body, etag: answer.etag }
  }

  /** Writes what metadata says. New metadata of somebody's hand must be tested anew; a refresh changes no state. */
  const apply = async (scope: Scope, connection: Connection, metadata: IdpMetadata, event: 'configure' | null, change: ConnectionChange) => {
    const all = { ...changeBy(metadata), ...change, metadataReadAt: now(), metadataProblem: null }
    try {
      if (event === null) await repo.note(scope, connection.id, all)
      else await standing.move(scope, connection, event, all)
    } catch (error) {
      if (isUniqueViolation(error)) throw entityTaken()
      throw error
    }
    // Another provider's certificates verify nothing of this one's.
    if (connection.entityId !== null && connection.entityId !== metadata.entityId) await repo.removeCertificates(scope, connection.id)
    await standing.certificates(scope, await existing(scope, connection.id), metadata.certificates)
  }

  return {
    existing,
    read,
    tagOf,
    apply,
    note,

    async create(scope: Scope, given: { name: string; vendor: string }): Promise<Connection> {
      // One that is not among those that are asked would not be heard.
      if ((await repo.all(scope)).length >= mostConnections) throw connectionsFull()
      const { id } = await repo.add(scope, { id: newId(), ...given })
      note(scope, 'connection_created', id, { vendor: given.vendor })
      return existing(scope, id)
    },

    async change(scope: Scope, id: string, version: number | null, settings: Settings, by: Authority): Promise<Connection> {
      const connection = await existing(scope, id)
      const { directoryId, idAttribute } = settings
      if (by === 'SETUP' && idAttribute !== undefined && idAttribute !== connection.idAttribute && isSettled(connection)) throw providerNeedsAdmin()
      const isMoved = directoryId !== undefined && directoryId !== connection.directoryId
      const authority = directoryId === undefined ? {} : { directoryAuthorisedBy: await namerOf(scope, connection, directoryId, by) }
      if (isMoved && connection.isEnforced) await passwords(scope, connection, false)
      if (!(await repo.change(scope, { id, version: version ?? connection.version }, { ...settings, ...authority }))) throw staleVersion()
      note(scope, 'connection_changed', id, { fields: Object.keys(settings).join(' ') })
      const changed = await existing(scope, id)
      if (isMoved && connection.isEnforced) await passwords(scope, changed, true)
      return changed
    },

    async configure(scope: Scope, id: string, from: { xml?: string | undefined; url?: string | undefined }, by: Authority): Promise<Connection> {
      const connection = await existing(scope, id)
      if (by === 'SETUP' && isSettled(connection)) throw providerNeedsAdmin()
      if ((from.xml === undefined) === (from.url === undefined)) {
        throw invalidInput({ issues: [{ path: 'xml', message: 'give the metadata as text or by address, one of them' }] })
      }
      const { xml, etag } = from.url === undefined ? { xml: Buffer.from(from.xml!), etag: null } : await fetched(from.url, false)
      const metadata = read(xml)
      await apply(scope, connection, metadata, 'configure', { metadataUrl: from.url ?? null, metadataVouched: false, metadataEtag: tagOf(metadata, etag) })
      note(scope, 'metadata_read', id, { certificates: metadata.certificates.length })
      return existing(scope, id)
    },

    /** All rules anew. What a privileged role maps to, an administrator with a second factor has decided. */
    async setRules(scope: Scope, id: string, rules: readonly { attribute: string; value: string; role: MappableRole }[], by: Authority): Promise<Connection> {
      const connection = await existing(scope, id)
      const isPrivileged = rules.some(({ role }) => privilegedRoles.includes(role))
      const hadPrivileged = connection.rules.some(({ role }) => privilegedRoles.includes(role))
      // Without the authority to write them there is none to take them away either: an order matters.
      if ((isPrivileged || hadPrivileged) && by !== 'ADMIN') throw roleNeedsAdmin()
      const authorisedBy = isPrivileged ? (await identity.proveAdministrator(scope, {})).membershipId : null
      const rows = rules.map((rule) => ({ ...rule, authorisedBy: privilegedRoles.includes(rule.role) ? authorisedBy : null }))
      await repo.setRules(scope, id, rows)
      note(scope, 'rules_set', id, { count: rules.length, privileged: isPrivileged })
      return existing(scope, id)
    },

    async addDomain(scope: Scope, id: string, domain: string): Promise<Connection> {
      await existing(scope, id)
      await repo.addDomain(scope, id, domain, randomToken(16))
      note(scope, 'domain_added', id)
      return existing(scope, id)
    },

    async removeDomain(scope: Scope, id: string, domain: string): Promise<Connection> {
      if ((await repo.removeDomain(scope, id, domain)) === 0) throw notFound()
      note(scope, 'domain_removed', id)
      return existing(scope, id)
    },

    async proveDomain(scope: Scope, id: string, domain: string): Promise<Connection> {
      const { domains } = await existing(scope, id)
      const wanted = domains.find((one) => one.domain === domain)
      if (!wanted) throw notFound()
      const value = txtValue(wanted.challenge)
      const found = await txtOf(txtName(domain))
      if (!found.includes(value)) throw domainNotProven({ record: `${txtName(domain)} TXT "${value}"` })
      await repo.proveDomain(scope, id, domain, 'DNS', now())
      note(scope, 'domain_proven', id, { by: 'DNS' })
      return existing(scope, id)
    },

    /** Staged beside those in force: tried on every login from now on. */
    async stage(scope: Scope, id: string, certificate: MetadataCertificate): Promise<Connection> {
      const { pem, fingerprint, notBefore, notAfter } = certificate
      const { certificates } = await existing(scope, id)
      const known = certificates.find((one) => one.fingerprint === fingerprint)
      // One that was retired may come back; one in force stays so.
      if (known?.state === 'RETIRED') await repo.changeCertificates(scope, id, [fingerprint], { state: 'STAGED' })
      else await repo.addCertificates(scope, id, [{ pem, fingerprint, notBefore, notAfter, state: 'STAGED' }])
      note(scope, 'certificate_staged', id, { fingerprint })
      return existing(scope, id)
    },

    async move(scope: Scope, id: string, event: 'activate' | 'disable'): Promise<Connection> {
      const connection = await existing(scope, id)
      if (event === 'disable') {
        await passwords(scope, connection, false)
        // What an administrator has switched off, nobody switches on again by a link of before.
        await traffic.revokeSetups(scope, id, now())
      }
      await standing.move(scope, connection, event, event === 'disable' ? { isEnforced: false } : {})
      await standing.rotate(scope, id)
      return existing(scope, id)
    },

    async newRecovery(scope: Scope, id: string): Promise<string> {
      await existing(scope, id)
      const code = randomToken(18).replace(/(.{6})(?=.)/g, '$1.')
      await traffic.setRecovery(scope, id, hashOf('recovery', code), now())
      note(scope, 'recovery_made', id)
      return code
    },

    async enforce(scope: Scope, id: string): Promise<Connection> {
      const connection = await existing(scope, id)
      const membershipIds = await traffic.adminsThrough(scope, connection)
      const { count } = await identity.countAdmins(scope, { membershipIds })
      const missing = [
        ...(count < 2 ? [count === 1 ? 'one administrator' : 'two administrators'] : []),
        ...((await traffic.hasStoredRecovery(scope, id)) ? [] : ['a stored recovery code']),
      ]
      if (missing.length > 0) throw enforcementTooSoon({ missing })
      await standing.move(scope, connection, 'require', { isEnforced: true })
      await passwords(scope, connection, true)
      return existing(scope, id)
    },

    async relax(scope: Scope, id: string): Promise<Connection> {
      const connection = await existing(scope, id)
      await standing.move(scope, connection, 'relax', { isEnforced: false })
      await passwords(scope, connection, false)
      await standing.rotate(scope, id)
      return existing(scope, id)
    },
  }

  /**
   * The administrator behind a directory: she has shown a second factor. Named by anybody else, or without one, it brings in all but those
   * whose roles need an administrator. @throws NOT_FOUND for a directory that has brought nobody
   */
  async function namerOf(scope: Scope, connection: Connection, directoryId: string | null, by: Authority): Promise<string | null> {
    if (directoryId === null) return null
    if (!(await identity.directories(scope, {})).some(({ connectionId }) => connectionId === directoryId)) throw notFound()
    // What a page sends back as it was changes nothing.
    if (by !== 'ADMIN') return directoryId === connection.directoryId ? connection.directoryAuthorisedBy : null
    try {
      return (await identity.proveAdministrator(scope, {})).membershipId
    } catch (error) {
      if (error instanceof Fault && error.code === 'SECOND_FACTOR_NEEDED') return null
      throw error
    }
  }

  async function passwords(scope: Scope, { id, directoryId }: Connection, off: boolean): Promise<void> {
    await identity.setPasswordsOff(scope, { connectionIds: directoryId === null ? [id] : [id, directoryId], off })
  }
}

export type Connections = ReturnType<typeof createConnections>
