/**
 * What happens by itself, daily: metadata is read anew, and the administrators are told before a certificate runs out. Whatever goes wrong,
 * the last known good stays in force, and why is shown beside the connection.
 */
import { Fault } from '../../../kernel/fault.ts'
import type { Locale } from '../../../kernel/locale.ts'
import type { Scope } from '../../../kernel/scope.ts'
import type { Connections } from './connections.ts'
import { certificateExpiring } from './contract.ts'
import type { Parts } from './parts.ts'
import type { Connection } from './repo.ts'
import { dueWarning, metadataBounds } from './rules.ts'
import { inForce, type Standing } from './standing.ts'

/** Below the time for which a transaction may stand idle. */
const fetchBounds = { ...metadataBounds, timeoutMs: 8_000 }
const dayMs = 86_400_000

const letters: Readonly<Record<Locale, (name: string, days: number) => { subject: string; text: string }>> = {
  en: (name, days) => ({
    subject: `The sign-in certificate of ${name} ends in ${days} day${days === 1 ? '' : 's'}`,
    text:
      `The certificate with which the identity provider "${name}" signs ends in ${days} day${days === 1 ? '' : 's'}, and no newer one is known here.\n\n` +
      'If the connection reads its metadata from an address, nothing is to be done but to renew the certificate there.\n' +
      'If not, stage the next certificate, or give the new metadata, before the old one ends. Otherwise nobody signs in after that.\n',
  }),
  ar: (name, days) => ({
    subject: `شهادة تسجيل الدخول في ${name} تنتهي بعد ${days} يوم`,
    text:
      `الشهادة التي يوقّع بها مزوّد الهوية «${name}» تنتهي بعد ${days} يوم، ولا نعرف شهادة أحدث منها.\n\n` +
      'إذا كان الاتصال يقرأ البيانات الوصفية من عنوان فيكفي تجديد الشهادة هناك.\n' +
      'وإلا فأضف الشهادة التالية أو قدّم البيانات الوصفية الجديدة قبل انتهاء القديمة، وإلا فلن يتمكن أحد من الدخول بعدها.\n',
  }),
}

export function createRefresh(parts: Parts, connections: Connections, standing: Standing) {
  const { repo, egress, identity, mail, clock } = parts
  const now = () => new Date(clock.nowMs())

  /** Reads one connection's metadata anew. Never throws for what the address answers. */
  const reread = async (scope: Scope, connection: Connection, url: string): Promise<void> => {
    const { id, metadataVouched: vouched, metadataEtag } = connection
    const problem = async (text: string) => {
      await repo.note(scope, id, { metadataProblem: text.slice(0, 300) })
      connections.note(scope, 'metadata_kept', id, { problem: text.slice(0, 60) })
    }
    try {
      const answer = await egress.get(url, { ...fetchBounds, vouched, etag: metadataEtag })
      if (answer.status === 304) return await repo.note(scope, id, { metadataReadAt: now(), metadataProblem: null })
      if (answer.status !== 200) return await problem(`its address answered ${answer.status}`)
      const metadata = connections.read(answer.body, vouched)
      // The same address describes another provider: somebody must look.
      if (metadata.entityId !== connection.entityId) return await problem(`it describes ${metadata.entityId.slice(0, 200)} now`)
      await connections.apply(scope, connection, metadata, null, { metadataEtag: answer.etag })
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      await problem(error.message)
    }
  }

  const warn = async (scope: Scope, connectionId: string): Promise<void> => {
    const connection = await repo.find(scope, connectionId)
    const active = connection?.certificates.filter(({ state }) => inForce.has(state)) ?? []
    const last = active.toSorted((one, other) => other.notAfter.getTime() - one.notAfter.getTime())[0]
    const days = last ? dueWarning(last.notAfter, clock.nowMs(), last.warnedDays) : null
    if (!connection || !last || days === null) return
    await repo.changeCertificates(scope, connectionId, [last.fingerprint], { warnedDays: days })
    const left = Math.max(0, Math.ceil((last.notAfter.getTime() - clock.nowMs()) / dayMs))
    for (const { email, locale } of await identity.adminAddresses(scope, {})) await mail.send({ to: email, ...letters[locale](connection.name, left) })
    connections.note(scope, 'certificate_warned', connectionId, { days })
    scope.unit.publish(certificateExpiring, connectionId, { connectionId, days })
  }

  return {
    /** One tenant, in the worker's command. */
    async run(scope: Scope): Promise<void> {
      for (const { id } of await repo.all(scope)) {
        const connection = await repo.find(scope, id)
        if (!connection || connection.state === 'DISABLED' || connection.entityId === null) continue
        if (connection.metadataUrl !== null) await reread(scope, connection, connection.metadataUrl)
        await standing.rotate(scope, id)
        await warn(scope, id)
      }
    },
  }
}
