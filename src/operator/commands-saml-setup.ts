/**
 * Every step of a connection's set-up as a command of its own, for the operator and for scripts: `saml create` to `saml enforce`. They do
 * what the graph and the set-up page do, no more: nobody is mapped to an administrator here, and once the tenant can decide for itself
 * each of them waits for its approval.
 */
import { readFile } from 'node:fs/promises'
import { Option, type Command } from 'commander'
import { invalidInput } from '../kernel/fault.ts'
import type { Scope } from '../kernel/scope.ts'
import type { Saml } from '../modules/federation/saml/contract.ts'
import { vendors, type ShownConnection } from '../modules/federation/saml/contract-administration.ts'
import { mappableRoles, newcomerRoles } from '../modules/federation/saml/rules.ts'
import { authLogin } from '../platform/module.ts'
import type { Opened, withHouse } from './open.ts'
import { operatorCaller, tenantIdOf } from './operator-scope.ts'
import { table, type Terminal } from './terminal.ts'

type Vendor = (typeof vendors)[number]
type Rule = Parameters<Saml['setRules']>[1]['rules'][number]

interface Place {
  readonly tenant: string
  readonly connection: string
}

interface Settings extends Place {
  readonly name?: string
  readonly vendor?: Vendor
  readonly emailAttribute?: string
  readonly idAttribute?: string
  readonly directory?: string
  readonly newcomers?: 'on' | 'off'
  readonly jitRole?: (typeof newcomerRoles)[number] | 'none'
  readonly idpInitiated?: 'on' | 'off'
}

export const samlOf = ({ house }: Pick<Opened, 'house'>): Saml => house.made['saml']!.contract as Saml

/** `attribute=value=role`; the value may hold `=` itself, an attribute and a role never do. */
function ruleIn(given: string): Rule {
  const [first, last] = [given.indexOf('='), given.lastIndexOf('=')]
  const role = mappableRoles.find((one) => one === given.slice(last + 1))
  if (first < 1 || first === last || role === undefined) {
    throw invalidInput({ issues: [{ path: 'rule', message: `is not attribute=value=role with one of ${mappableRoles.join(', ')}` }] })
  }
  return { attribute: given.slice(0, first), value: given.slice(first + 1, last), role }
}

const toggled = (given: 'on' | 'off' | undefined): boolean | undefined => (given === undefined ? undefined : given === 'on')
const orNull = (given: string | undefined): string | null | undefined => (given === 'none' ? null : given)

/** Only what was given; `none` clears. */
function settingsOf(options: Settings) {
  const { name, vendor, emailAttribute, idAttribute, directory, newcomers, jitRole, idpInitiated } = options
  const all = {
    name,
    vendor,
    emailAttribute: orNull(emailAttribute),
    idAttribute: orNull(idAttribute),
    directoryId: orNull(directory),
    jitAllowed: toggled(newcomers),
    jitRole: orNull(jitRole),
    allowUnsolicited: toggled(idpInitiated),
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

function described({ id, name, state, entityId, domains, rules, certificates }: ShownConnection): string {
  return [
    `${name}  ${state}  ${id}`,
    ...(entityId === null ? [] : [`provider     ${entityId}`]),
    ...certificates.map((one) => `certificate  ${one.state}  until ${one.notAfter.toISOString().slice(0, 10)}  ${one.fingerprint}`),
    ...domains.map((one) => `domain       ${one.domain}  ${one.provenAt === null ? `publish _maristan-sso.${one.domain} TXT "maristan-sso=${one.challenge}"` : 'proven'}`),
    ...rules.map((one) => `rule         ${one.attribute} = ${one.value}: ${one.role}`),
  ].join('\n')
}

/** @param open how the house is opened that the commands work in. */
export function samlSetupCommands(saml: Command, terminal: Terminal, open: typeof withHouse): void {
  /** One command on one tenant, by the operator. */
  const inTenant = <T>(slug: string, work: (scope: Scope, saml: Saml) => Promise<T>): Promise<T> =>
    open(async (opened) => {
      const { database } = opened.foundation
      const unit = database.unit(operatorCaller(await tenantIdOf(database, slug)))
      return unit.command((scope) => work(scope, samlOf(opened)), authLogin)
    })
  const on = (parent: Command, name: string, description: string): Command =>
    parent.command(name).description(description).requiredOption('--tenant <slug>').requiredOption('--connection <id>', 'as `saml list` shows it')
  const shown = (connection: ShownConnection): void => terminal.done(connection, described(connection))
  /** A command that changes one connection and shows it. */
  const changing = <Options extends Place>(command: Command, work: (scope: Scope, contract: Saml, options: Options) => Promise<ShownConnection>): void =>
    void command.action(async (options: Options) => shown(await inTenant(options.tenant, (scope, contract) => work(scope, contract, options))))

  saml
    .command('addresses')
    .description('our values, for the identity provider')
    .requiredOption('--tenant <slug>')
    .action(async ({ tenant }: { tenant: string }) =>
      open(async (opened) => {
        const { database } = opened.foundation
        const unit = database.unit(operatorCaller(await tenantIdOf(database, tenant)))
        const addresses = await unit.read(() => samlOf(opened).addresses(unit.scope, {}))
        terminal.done(addresses, table(Object.entries(addresses)))
      }),
    )

  saml
    .command('list')
    .description("a tenant's connections")
    .requiredOption('--tenant <slug>')
    .action(async ({ tenant }: { tenant: string }) => {
      const connections = await inTenant(tenant, (scope, contract) => contract.connections(scope, {}))
      terminal.done({ connections }, connections.map(described).join('\n\n'))
    })

  changing(on(saml, 'show', 'one connection'), (scope, contract, { connection }) => contract.connection(scope, { connectionId: connection }))

  on(saml, 'attempts', 'the last sign-ins, each with its exact end').action(async ({ tenant, connection }: Place) => {
    const attempts = await inTenant(tenant, (scope, contract) => contract.attempts(scope, { connectionId: connection, first: 20 }))
    terminal.done({ attempts }, table(attempts.map((one) => [one.at.toISOString(), one.result, one.reason ?? '', one.id])))
  })

  saml
    .command('create')
    .description('begin a connection; it signs nobody in yet')
    .requiredOption('--tenant <slug>')
    .requiredOption('--name <name>', 'what people see when they are asked')
    .addOption(new Option('--vendor <vendor>').choices(vendors).default('generic'))
    .action(async ({ tenant, name, vendor }: { tenant: string; name: string; vendor: Vendor }) =>
      shown(await inTenant(tenant, (scope, contract) => contract.create(scope, { name, vendor }))),
    )

  on(saml, 'setup-link', "a link for the tenant's IT, shown once; it opens once, in one browser")
    .option('--hours <count>', 'within which it must be opened', '72')
    .action(async ({ tenant, connection, hours }: Place & { hours: string }) => {
      const made = await inTenant(tenant, (scope, contract) => contract.createSetupLink(scope, { connectionId: connection, hours: Number(hours) }))
      terminal.done(made, `${made.url}\n(shown once)`)
    })

  changing<Place & { from: string }>(
    on(saml, 'metadata', "read the identity provider's metadata").requiredOption('--from <file|url>', 'an https address is read anew every day'),
    async (scope, contract, { connection: connectionId, from }) =>
      contract.configure(scope, /^https?:\/\//i.test(from) ? { connectionId, url: from } : { connectionId, xml: await readFile(from, 'utf8') }),
  )

  changing<Settings>(
    on(saml, 'map', 'who people are; `none` clears a value')
      .option('--name <name>')
      .addOption(new Option('--vendor <vendor>').choices(vendors))
      .option('--email-attribute <name>')
      .option('--id-attribute <name>', 'the attribute with the id that never changes')
      .option('--directory <id>', 'the SCIM connection whose people sign in here')
      .addOption(new Option('--newcomers <on|off>', 'add people who are not there yet').choices(['on', 'off']))
      .addOption(new Option('--jit-role <role>', 'of newcomers whom no rule names').choices([...newcomerRoles, 'none']))
      .addOption(new Option('--idp-initiated <on|off>', 'take sign-ins that begin at the identity provider').choices(['on', 'off'])),
    async (scope, contract, options) => {
      const { connection: connectionId } = options
      const { version } = await contract.connection(scope, { connectionId })
      return contract.change(scope, Object.assign(settingsOf(options), { connectionId, version }))
    },
  )

  changing<Place & { rule?: string[]; clear?: true }>(
    on(saml, 'rules', 'all rules anew, in order: the first that matches gives the role')
      .option('--rule <attribute=value=role...>', 'once for each rule')
      .option('--clear', 'no rule at all'),
    (scope, contract, { connection: connectionId, rule = [], clear }) => {
      if ((rule.length === 0) !== (clear === true)) throw invalidInput({ issues: [{ path: 'rule', message: 'give rules, or --clear' }] })
      return contract.setRules(scope, { connectionId, rules: rule.map(ruleIn) })
    },
  )

  const domains = saml.command('domain').description('mail domains of a connection')
  for (const [name, method, description] of [
    ['add', 'addDomain', 'name a domain and learn its TXT record'],
    ['prove', 'proveDomain', 'look for the TXT record'],
    ['remove', 'removeDomain', 'forget a domain'],
  ] as const) {
    changing<Place & { domain: string }>(
      on(domains, name, description).requiredOption('--domain <domain>'),
      (scope, contract, { connection: connectionId, domain }) => contract[method](scope, { connectionId, domain }),
    )
  }

  changing<Place & { pem: string }>(
    on(saml, 'stage', 'a certificate that the provider will sign with one day').requiredOption('--pem <file>'),
    async (scope, contract, { connection: connectionId, pem }) => contract.stageCertificate(scope, { connectionId, pem: await readFile(pem, 'utf8') }),
  )

  on(saml, 'test-link', 'a link to one test sign-in, shown once').action(async ({ tenant, connection }: Place) => {
    const made = await inTenant(tenant, (scope, contract) => contract.createTestLink(scope, { connectionId: connection }))
    terminal.done(made, `${made.url}\n(shown once)`)
  })

  for (const [name, description] of [
    ['activate', 'let people sign in, after a test sign-in went well'],
    ['disable', 'nobody signs in through it any more'],
    ['enforce', 'passwords off for its members, once two administrators have signed in and a recovery code is stored'],
    ['relax', 'passwords on again'],
  ] as const) {
    changing(on(saml, name, description), (scope, contract, { connection }) => contract[name](scope, { connectionId: connection }))
  }

  const recovery = saml.command('recovery').description('the code that lets passwords in again')
  on(recovery, 'new', 'a new code, shown once, in place of any other').action(async ({ tenant, connection }: Place) => {
    const made = await inTenant(tenant, (scope, contract) => contract.newRecovery(scope, { connectionId: connection }))
    terminal.done(made, `${made.code}\n(shown once; store it, then: maristan saml recovery confirm)`)
  })
  on(recovery, 'confirm', 'say that it is stored: the code comes by standard input').action(async ({ tenant, connection: connectionId }: Place) => {
    const code = (await terminal.typed()).trim()
    await inTenant(tenant, (scope, contract) => contract.confirmRecovery(scope, { connectionId, code }))
    terminal.done({ connectionId, stored: true }, 'The recovery code is stored.')
  })
}
