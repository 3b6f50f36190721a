/** Connections in the hands of administrators and of the operator: each method asks first whether this caller may. */
import { createHash, X509Certificate } from 'node:crypto'
import { notFound } from '../../../kernel/fault.ts'
import { newId } from '../../../kernel/id.ts'
import type { Scope } from '../../../kernel/scope.ts'
import { need } from '../../../platform/authorise.ts'
import type { ServiceOf } from '../../../platform/contract.ts'
import type { Authority, Connections } from './connections.ts'
import { metadataRefused, recoveryRefused } from './contract.ts'
import { attemptShape, connectionShape, type administrationMethods, type Attempt, type ShownConnection } from './contract-administration.ts'
import { reasonSentence } from './reasons.ts'
import type { MetadataCertificate } from './guard/verdict.ts'
import { addressesOf, hashOf, newSecret, testLinkToken, type Parts } from './parts.ts'
import type { Connection } from './repo.ts'
import type { SamlAttempt } from './repo-traffic.ts'
import type { Standing } from './standing.ts'

const hourMs = 3_600_000

const shownConnection = (connection: Connection): ShownConnection =>
  connectionShape.parse({ ...connection, isDirectoryConfirmed: connection.directoryAuthorisedBy !== null })

function shownAttempt({ createdAt, shown, ...row }: SamlAttempt): Attempt {
  const sentence = row.reason === null ? null : { en: reasonSentence(row.reason, 'en'), ar: reasonSentence(row.reason, 'ar') }
  return attemptShape.parse({ ...row, at: createdAt, shown: shown ?? null, sentence })
}

/** A certificate that somebody pasted. @throws METADATA_REFUSED */
function readCertificate(pem: string): MetadataCertificate {
  try {
    const certificate = new X509Certificate(pem)
    const fingerprint = createHash('sha256').update(certificate.raw).digest('hex')
    return { pem: certificate.toString(), fingerprint, notBefore: certificate.validFromDate, notAfter: certificate.validToDate }
  } catch {
    throw metadataRefused({ reason: 'METADATA_CERTIFICATE', sentence: 'this is no X.509 certificate in PEM form.' })
  }
}

export function createAdministrationService(parts: Parts, connections: Connections, standing: Standing): ServiceOf<typeof administrationMethods> {
  const { repo, traffic, keys, identity, clock } = parts
  const now = () => new Date(clock.nowMs())
  /** A member who may; the operator until the tenant can decide for itself, and then while it approves. */
  const manage = async (scope: Scope): Promise<void> => {
    if (scope.actor.kind === 'operator') await identity.needOperator(scope, {})
    else need(scope, 'sso:manage')
  }
  /** The same for a look: the operator's leaves a trace. */
  const look = async (scope: Scope, resourceId: string | null): Promise<void> => {
    await manage(scope)
    if (scope.actor.kind !== 'operator') return
    scope.unit.record({ action: 'saml.connection_read', resource: 'SsoConnection', resourceId, outcome: 'done' })
  }
  const authorityOf = ({ actor }: Scope): Authority => (actor.kind === 'operator' ? 'OPERATOR' : 'ADMIN')
  const attemptBy = async (scope: Scope, id: string): Promise<Attempt> => {
    const found = await traffic.findAttempt(scope, id)
    if (!found) throw notFound()
    return shownAttempt(found)
  }
  /** A use case on one connection that answers it. */
  const on = <Input extends { connectionId: string }>(work: (scope: Scope, input: Input) => Promise<Connection>) => async (scope: Scope, input: Input) => {
    await manage(scope)
    return shownConnection(await work(scope, input))
  }

  return {
    async connections(scope) {
      await look(scope, null)
      return (await repo.all(scope)).map(shownConnection)
    },
    async connection(scope, { connectionId }) {
      await look(scope, connectionId)
      return shownConnection(await connections.existing(scope, connectionId))
    },

    async attempts(scope, { connectionId, first }) {
      await look(scope, connectionId)
      await connections.existing(scope, connectionId)
      return (await traffic.attempts(scope, connectionId, first)).map(shownAttempt)
    },
    async attempt(scope, { id }) {
      await manage(scope)
      return attemptBy(scope, id)
    },

    async create(scope, given) {
      await manage(scope)
      return shownConnection(await connections.create(scope, given))
    },
    change: on((scope, { connectionId, version, ...settings }) => connections.change(scope, connectionId, version, given(settings), authorityOf(scope))),
    configure: on((scope, { connectionId, xml, url }) => connections.configure(scope, connectionId, { xml, url }, authorityOf(scope))),
    setRules: on((scope, { connectionId, rules }) => connections.setRules(scope, connectionId, rules, authorityOf(scope))),
    addDomain: on((scope, { connectionId, domain }) => connections.addDomain(scope, connectionId, domain)),
    removeDomain: on((scope, { connectionId, domain }) => connections.removeDomain(scope, connectionId, domain)),
    proveDomain: on((scope, { connectionId, domain }) => connections.proveDomain(scope, connectionId, domain)),
    stageCertificate: on(async (scope, { connectionId, pem }) => {
      await connections.existing(scope, connectionId)
      return connections.stage(scope, connectionId, readCertificate(pem))
    }),
    activate: on((scope, { connectionId }) => connections.move(scope, connectionId, 'activate')),
    disable: on((scope, { connectionId }) => connections.move(scope, connectionId, 'disable')),
    enforce: on((scope, { connectionId }) => connections.enforce(scope, connectionId)),
    relax: on((scope, { connectionId }) => connections.relax(scope, connectionId)),

    async newRecovery(scope, { connectionId }) {
      await manage(scope)
      return { code: await connections.newRecovery(scope, connectionId) }
    },
    async confirmRecovery(scope, { connectionId, code }) {
      await manage(scope)
      await connections.existing(scope, connectionId)
      if (!(await traffic.confirmRecovery(scope, connectionId, hashOf('recovery', code.trim()), now()))) throw recoveryRefused()
      connections.note(scope, 'recovery_stored', connectionId)
      return {}
    },

    async linkMember(scope, { connectionId, membershipId, externalId }) {
      await manage(scope)
      await connections.existing(scope, connectionId)
      await identity.linkMember(scope, { source: 'SAML', connectionId, membershipId, externalId })
      return { membershipId }
    },

    async createTestLink(scope, { connectionId }) {
      await manage(scope)
      await connections.existing(scope, connectionId)
      const id = newId()
      const { value, hash: browserHash } = newSecret('test-link')
      const createdAt = now()
      const expiresAt = new Date(createdAt.getTime() + 24 * hourMs)
      await traffic.addRequest(scope, { id, connectionId, purpose: 'TEST_LINK', browserHash, createdAt, expiresAt })
      connections.note(scope, 'test_link_made', connectionId)
      return { url: `${(await addressesOf(parts, scope)).loginUrl}?test=${testLinkToken(id, value)}` }
    },

    async createSetupLink(scope, { connectionId, hours }) {
      await manage(scope)
      await connections.existing(scope, connectionId)
      const { value, hash } = newSecret('setup-link')
      await traffic.revokeSetups(scope, connectionId, now())
      const createdBy = scope.actor.kind === 'member' ? scope.actor.membershipId : null
      await traffic.addSetup(scope, { id: newId(), connectionId, linkHash: hash, expiresAt: new Date(clock.nowMs() + hours * hourMs), createdBy })
      connections.note(scope, 'setup_link_made', connectionId, { hours })
      return { url: `${(await addressesOf(parts, scope)).setupUrl}?link=${value}` }
    },

    async rollKeys(scope) {
      await manage(scope)
      await keys.roll(scope)
      return {}
    },

    async operatorConnect(scope, { name, xml, metadataUrl, jitRole, allowIdpInitiated, domain }) {
      await identity.needOperator(scope, {})
      const metadata = connections.read(Buffer.from(xml), true)
      const { id: connectionId } = await connections.create(scope, { name, vendor: 'generic' })
      await connections.apply(scope, await connections.existing(scope, connectionId), metadata, 'configure', {
        metadataUrl,
        // The operator read it from there, whatever kind of address it is.
        metadataVouched: metadataUrl !== null,
        allowUnsolicited: allowIdpInitiated,
        jitAllowed: jitRole !== undefined,
        jitRole: jitRole ?? null,
      })
      if (domain !== undefined) {
        await connections.addDomain(scope, connectionId, domain)
        await repo.proveDomain(scope, connectionId, domain, 'OPERATOR', now())
      }
      await standing.move(scope, await connections.existing(scope, connectionId), 'vouch')
      await standing.rotate(scope, connectionId)
      return { connectionId }
    },

    async operatorAttempt(scope, { id }) {
      await identity.needOperator(scope, {})
      const attempt = await attemptBy(scope, id)
      scope.unit.record({ action: 'saml.attempt_read', resource: 'SamlAttempt', resourceId: id, outcome: 'done' })
      return attempt
    },
  }
}

/** Without what was not given. */
function given<Values extends object>(values: Values) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [Key in keyof Values]?: Exclude<Values[Key], undefined>
  }
}
