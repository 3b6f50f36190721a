/** `audit verify|export|report|stream|checkpoint|key`: the trail proven, handed out and anchored. The proof is the verifier's own file. */
import { createReadStream } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { describe } from '../../verifier/maristan-audit-verify.mjs'
import { noTenant } from '../kernel/scope.ts'
import { prove, readAnchors, type Anchors, type Report } from '../modules/audit/prove.ts'
import { readConfig } from '../platform/config.ts'
import { createCheckpoints, publicKeyText } from '../platform/ledger/checkpoint.ts'
import { directorySink } from '../platform/ledger/sink.ts'
import { openSink } from '../platform/ledger/open-sink.ts'
import { auditOf, batchesOf, sealPending } from './audit-batches.ts'
import { reportCommand } from './commands-report.ts'
import { streamCommands } from './commands-audit-stream.ts'
import { withHouse } from './open.ts'
import { tenantIdOf } from './operator-scope.ts'
import type { Terminal } from './terminal.ts'

async function* textsOf(batches: AsyncIterable<{ readonly text: string }>): AsyncGenerator<string> {
  for await (const { text } of batches) yield text
}

const whole = { from: 'start', to: 'end' } as const

/** Of several chains together; `firstBad` says whose. */
function together(reports: readonly (Report & { readonly slug: string })[]) {
  const bent = reports.find(({ ok }) => !ok)
  const sum = (of: (report: Report) => number) => reports.reduce((total, report) => total + of(report), 0)
  return {
    rows: sum(({ rows }) => rows),
    checkpoints: sum(({ checkpoints }) => checkpoints),
    ok: bent === undefined,
    firstBad: bent ? { tenant: bent.tenant, slug: bent.slug, ...bent.firstBad! } : null,
    unanchored: sum(({ unanchored }) => unanchored.rows + unanchored.unsealed),
    tenants: reports,
  }
}

async function anchorsFrom(options: { checkpoints?: string; key?: string }): Promise<Anchors> {
  const found = await readAnchors(options.checkpoints === undefined ? openSink(readConfig(process.env)) : directorySink(options.checkpoints))
  return options.key === undefined ? found : { ...found, keys: [await readFile(options.key, 'utf8')] }
}

async function* fileLines(path: string): AsyncGenerator<string> {
  for await (const line of createInterface({ input: createReadStream(path, 'utf8'), crlfDelay: Infinity })) yield `${line}\n`
}

export function auditCommands(program: Command, terminal: Terminal): void {
  const audit = program.command('audit').description('the audit trail and its proof')

  audit
    .command('verify')
    .description('verify the hash chain against the checkpoints outside the database; exit 1 when it is bent')
    .option('--tenant <slug>', 'this tenant alone (default: every tenant, and what belongs to none)')
    .option('--from-file <file>', 'an export, instead of the database')
    .option('--checkpoints <directory>', 'where the checkpoints are (default: AUDIT_CHECKPOINTS)')
    .option('--key <file>', 'the public key (default: the one beside the checkpoints)')
    .action(async (options: { tenant?: string; fromFile?: string; checkpoints?: string; key?: string }) => {
      const anchors = await anchorsFrom(options)
      const finish = (reports: readonly (Report & { slug: string })[]) => {
        const report = together(reports)
        terminal.done(report, reports.map((one) => `${one.slug}\n${describe(one)}`).join('\n\n'))
        if (!report.ok) process.exitCode = 1
      }
      if (options.fromFile !== undefined) {
        const report = await prove(fileLines(options.fromFile), anchors, whole)
        return finish([{ ...report, slug: options.fromFile }])
      }
      return withHouse(async (opened) => {
        await sealPending(opened)
        const { gate } = opened.foundation.database
        const all = [...(await gate.tenants()), { tenantId: noTenant, slug: '(the building)' }]
        const wanted = options.tenant === undefined ? all : [{ tenantId: await tenantIdOf(opened.foundation.database, options.tenant), slug: options.tenant }]
        const reports: (Report & { slug: string })[] = []
        for (const { tenantId, slug } of wanted) {
          terminal.progress(`verifying ${slug}`)
          reports.push({ ...(await prove(textsOf(batchesOf(opened, tenantId)), anchors, whole)), slug })
        }
        finish(reports)
      })
    })

  audit
    .command('export')
    .description('write a tenant\'s trail as JSON Lines with its proof, for the verifier')
    .requiredOption('--tenant <slug>')
    .requiredOption('--file <path>', 'where to; must not exist')
    .option('--recipient <id>', 'show only lines about this recipient; the others prove their place')
    .option('--actor <id>', 'show only lines of this member or token')
    .action(async ({ tenant, file, recipient, actor }: { tenant: string; file: string; recipient?: string; actor?: string }) =>
      withHouse(async (opened) => {
        await sealPending(opened)
        const tenantId = await tenantIdOf(opened.foundation.database, tenant)
        const selected = { ...(recipient ? { subjectId: recipient } : {}), ...(actor ? { actorId: actor } : {}) }
        const out = await open(file, 'wx', 0o600)
        let lines = 0
        let through = 0
        try {
          for await (const batch of batchesOf(opened, tenantId, selected)) {
            await out.write(batch.text)
            lines += batch.lines
            through = batch.seq
            terminal.progress(`${lines} lines`)
          }
          await out.sync()
        } finally {
          await out.close()
        }
        terminal.done({ file, lines, through }, `${file}: ${lines} lines, up to number ${through}.`)
      }),
    )

  reportCommand(audit, terminal)
  streamCommands(audit, terminal)

  audit
    .command('checkpoint')
    .description('sign the heads of the chains now, and put them outside the database')
    .action(async () =>
      withHouse(async (opened) => {
        await sealPending(opened)
        const { databaseUrl, loginSecret } = opened.foundation
        const sink = openSink(opened.config)
        const { signer } = auditOf(opened)
        const chains = await createCheckpoints({ databaseUrl, loginSecret, log: opened.log, sink, signer: () => signer.current() }).anchor()
        terminal.done({ chains, place: sink.place }, `${chains} chains anchored in ${sink.place}.`)
      }),
    )

  audit
    .command('key')
    .description('the public key that checkpoints are verified with; keep a copy of it elsewhere')
    .action(async () =>
      withHouse(async (opened) => {
        const text = publicKeyText(auditOf(opened).signer.current())
        terminal.done(JSON.parse(text) as object, text.trimEnd())
      }),
    )
}
