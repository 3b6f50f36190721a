/**
 * What happens by itself, daily: metadata is read anew, and the administrators are told before a certificate runs out. Whatever goes wrong,
 * the last known good stays in force, and why is shown beside the connection.
 */
import { Fault } from '../../../kernel/fault.ts'
import type { Locale } from '../../../kernel/locale.ts'
import type { Scope } from '../../../kernel/scope.ts'
import type { Unit } from '../../../platform/db/unit.ts'
import type { EgressAnswer } from '../../../platform/http/egress.ts'
import type { Connections } from './connections.ts'
import { certificateExpiring } from './contract.ts'
import type { Parts } from './parts.ts'
import type { Connection } from './repo.ts'
import { dueWarning, metadataBounds } from './rules.ts'
import { inForce, type Standing } from './standing.ts'

/** Connections in hand at a time: a hundred whose addresses hang still end within a run. */
const atOnce = 8
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

  /** What a connection's address answers now; null where it has none. Outside of every command: an address may take its time. */
  const fetched = async ({ metadataUrl, metadataVouched: vouched, metadataEtag: etag }: Connection): Promise<EgressAnswer | Fault | null> => {
    if (metadataUrl === null) return null
    return egress.get(metadataUrl, { ...metadataBounds, vouched, etag }).catch((error: unknown) => {
      if (error instanceof Fault) return error
      throw error
    })
  }

  /** Takes what the address answered. Never throws for what that is. */
  const take = async (scope: Scope, connection: Connection, answer: EgressAnswer | Fault): Promise<void> => {
    const { id, metadataVouched: vouched } = connection
    const problem = async (text: string) => {
      await repo.note(scope, id, { metadataProblem: text.slice(0, 300) })
      connections.note(scope, 'metadata_kept', id, { problem: text.slice(0, 60) })
    }
    try {
      if (answer instanceof Fault) throw answer
      if (answer.status === 304) return await repo.note(scope, id, { metadataReadAt: now(), metadataProblem: null })
      if (answer.status !== 200) return await problem(`its address answered ${answer.status}`)
      const metadata = connections.read(answer.body, vouched)
      // The same address describes another provider: somebody must look.
      if (metadata.entityId !== connection.entityId) return await problem(`it describes ${metadata.entityId.slice(0, 200)} now`)
      await connections.apply(scope, connection, metadata, null, { metadataEtag: connections.tagOf(metadata, answer.etag) })
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

  /** One connection, in a command of its own: what is wrong with it is nobody else's trouble. */
  const refresh = async (open: () => Unit, asked: Connection): Promise<void> => {
    const answer = await fetched(asked)
    const unit = open()
    await unit.command(async (scope) => {
      unit.record({ action: 'job.ran', resource: 'Job', outcome: 'done', detail: { job: 'saml.refresh' } })
      const connection = await repo.find(scope, asked.id)
      if (!connection || !isRefreshed(connection)) return
      if (answer !== null && connection.metadataUrl === asked.metadataUrl) await take(scope, connection, answer)
      await standing.rotate(scope, asked.id)
      await warn(scope, asked.id)
    })
  }

  return {
    /** One tenant. Tries every connection, then fails if one of them did: the run is tried again. */
    async run(open: () => Unit): Promise<void> {
      const reading = open()
      const waiting = (await reading.read(() => repo.all(reading.scope))).filter(isRefreshed)
      const failures: unknown[] = []
      const work = async () => {
        for (let next = waiting.shift(); next; next = waiting.shift()) await refresh(open, next).catch((error: unknown) => failures.push(error))
      }
      await Promise.all(Array.from({ length: atOnce }, work))
      if (failures.length > 0) throw failures[0]
    },
  }
}

const isRefreshed = ({ state, entityId }: Connection): boolean => state !== 'DISABLED' && entityId !== null
