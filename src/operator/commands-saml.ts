/** `saml connect`, `saml attempt`, and the steps of a set-up (`commands-saml-setup.ts`). */
import { readFile } from 'node:fs/promises'
import { Option, type Command } from 'commander'
import { metadataBounds, newcomerRoles } from '../modules/federation/saml/rules.ts'
import { createEgress } from '../platform/http/egress.ts'
import { authLogin } from '../platform/module.ts'
import { samlOf, samlSetupCommands } from './commands-saml-setup.ts'
import { withHouse } from './open.ts'
import { operatorCaller, tenantIdOf } from './operator-scope.ts'
import type { Terminal } from './terminal.ts'

/** The document at an address, or in a file. The operator vouches for the address, whatever kind it is. */
async function metadataAt(place: string): Promise<{ xml: string; metadataUrl: string | null }> {
  if (!/^https?:\/\//i.test(place)) return { xml: await readFile(place, 'utf8'), metadataUrl: null }
  const egress = createEgress()
  try {
    const { status, body } = await egress.get(place, { ...metadataBounds, vouched: true })
    if (status !== 200) throw new Error(`${place} answered ${status}.`)
    return { xml: Buffer.from(body).toString('utf8'), metadataUrl: place }
  } finally {
    await egress.close()
  }
}

interface ConnectOptions {
  readonly tenant: string
  readonly metadata: string
  readonly name: string
  readonly jitRole?: (typeof newcomerRoles)[number]
  readonly allowIdpInitiated?: true
  readonly domain?: string
}

/** @param open how the house is opened that the commands work in. */
export function samlCommands(program: Command, terminal: Terminal, open: typeof withHouse = withHouse): void {
  const saml = program.command('saml').description('single sign-on through a tenant\'s own identity provider')
  samlSetupCommands(saml, terminal, open)

  saml
    .command('connect')
    .description('connect an identity provider, active at once: you vouch for its metadata and domain')
    .requiredOption('--tenant <slug>')
    .requiredOption('--metadata <file|url>', 'the identity provider\'s metadata')
    .option('--name <name>', 'what people see when they are asked', 'SAML')
    .addOption(new Option('--jit-role <role>', 'add newcomers, as this').choices(newcomerRoles))
    .option('--allow-idp-initiated', 'take sign-ins that begin at the identity provider')
    .option('--domain <domain>', 'the mail domain of its people')
    .action(async (options: ConnectOptions) =>
      open(async (opened) => {
        const contract = samlOf(opened)
        const { database } = opened.foundation
        const unit = database.unit(operatorCaller(await tenantIdOf(database, options.tenant)))
        const { name, jitRole, domain } = options
        const input = {
          ...(await metadataAt(options.metadata)),
          name,
          allowIdpInitiated: options.allowIdpInitiated === true,
          ...(jitRole ? { jitRole } : {}),
          ...(domain ? { domain } : {}),
        }
        const { connectionId } = await unit.command((scope) => contract.operatorConnect(scope, input), authLogin)
        const { entityId, metadataUrl, acsUrl, loginUrl } = await unit.read(() => contract.addresses(unit.scope, {}))
        terminal.done(
          { connectionId, entityId, metadataUrl, acsUrl, loginUrl },
          `Connected. Give the identity provider these:\nentity ID    ${entityId}\nACS URL      ${acsUrl}\nmetadata     ${metadataUrl}\nsign in at   ${loginUrl}`,
        )
      }),
    )

  saml
    .command('attempt <id>')
    .description('what became of a sign-in, by the number that the person was given')
    .requiredOption('--tenant <slug>')
    .action(async (id: string, options: { tenant: string }) =>
      open(async (opened) => {
        const { database } = opened.foundation
        const unit = database.unit(operatorCaller(await tenantIdOf(database, options.tenant)))
        const attempt = await unit.command((scope) => samlOf(opened).operatorAttempt(scope, { id }), authLogin)
        const { result, reason, sentence, detail, at } = attempt
        terminal.done(attempt, [`${at.toISOString()}  ${result}`, ...(reason ? [reason, sentence?.en ?? '', sentence?.ar ?? '', detail ?? ''] : [])].join('\n'))
      }),
    )
}
