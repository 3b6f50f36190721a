/** `tenant create|list|suspend|resume|approval`, `member invite|recover`. */
import { randomBytes } from 'node:crypto'
import { Option, type Command } from 'commander'
import { newId } from '../kernel/id.ts'
import type { Identity } from '../modules/identity/contract.ts'
import type { Tenancy } from '../modules/tenancy/contract.ts'
import type { Vault } from '../modules/vault/contract.ts'
import { roles, type Role } from '../modules/access/contract.ts'
import { locales } from '../kernel/locale.ts'
import { hostOfTenant, withFoundation, withHouse, type Opened } from './open.ts'
import { operatorCaller, tenantIdOf } from './operator-scope.ts'
import { table, type Terminal } from './terminal.ts'

const contractsOf = ({ house }: Opened) => ({
  identity: house.made['identity']!.contract as Identity,
  tenancy: house.made['tenancy']!.contract as Tenancy,
  vault: house.made['vault']!.contract as Vault,
})

/** 24 characters, 120 bits, none that a person reading it aloud mistakes for another. */
function firstPassword(): string {
  const alphabet = 'abcdefghijkmnpqrstuvwxyz23456789'
  return Array.from(randomBytes(24), (byte) => alphabet[byte % alphabet.length]).join('').replace(/(.{6})(?=.)/g, '$1-')
}

export function tenantCommands(program: Command, terminal: Terminal): void {
  const tenant = program.command('tenant').description('tenants of this building')

  tenant
    .command('create')
    .description('make a tenant with its key and its first administrator')
    .requiredOption('--slug <slug>', 'its name in addresses; never changes')
    .requiredOption('--name <name>', 'its legal name')
    .addOption(new Option('--locale <locale>', 'its first language').choices(locales).default('en'))
    .addOption(new Option('--kind <kind>', 'what it is').choices(['AGENCY', 'CLINIC', 'HOSPITAL']).default('AGENCY'))
    .option('--admin-email <email>', 'the first administrator (default: admin@<slug>.example)')
    .action(async (options: { slug: string; name: string; locale: 'en' | 'ar'; kind: 'AGENCY'; adminEmail?: string }) =>
      withHouse(async (opened) => {
        const { tenancy, vault, identity } = contractsOf(opened)
        const email = options.adminEmail ?? `admin@${options.slug}.example`
        const password = firstPassword()
        const unit = opened.foundation.database.unit(operatorCaller(newId()))
        await unit.command(async (scope) => {
          const { slug, name: legalName, locale: defaultLocale, kind } = options
          await tenancy.provision(scope, { slug, legalName, defaultLocale, kind })
          await vault.provisionTenant(scope, {})
          await identity.provisionAdmin(scope, { email, password })
        })
        const host = hostOfTenant(opened.config, options.slug)
        const made = { id: unit.tenantId, slug: options.slug, host, admin: { email, password } }
        terminal.done(made, `${options.slug} is at ${host}\nadministrator  ${email}\npassword       ${password}  (shown once)`)
      }),
    )

  tenant
    .command('list')
    .description('every tenant and its state')
    .action(async () =>
      withFoundation(async ({ foundation }) => {
        const tenants = (await foundation.database.gate.tenants()).map(({ tenantId, slug, status }) => ({ id: tenantId, slug, status }))
        terminal.done({ tenants }, table(tenants.map(({ id, slug, status }) => [slug, status, id])))
      }),
    )

  for (const [name, suspended, description] of [
    ['suspend', true, 'shut a tenant\'s door; nothing is deleted'],
    ['resume', false, 'open a suspended tenant\'s door again'],
  ] as const) {
    tenant
      .command(name)
      .description(description)
      .requiredOption('--slug <slug>')
      .action(async ({ slug }: { slug: string }) =>
        withHouse(async (opened) => {
          const { database } = opened.foundation
          const unit = database.unit(operatorCaller(await tenantIdOf(database, slug)))
          const { status } = await unit.command((scope) => contractsOf(opened).tenancy.setSuspended(scope, { suspended }))
          terminal.done({ slug, status }, `${slug} is ${status}.`)
        }),
      )
  }

  tenant
    .command('approval')
    .description('whether the tenant lets the operator act now, why and until when')
    .requiredOption('--slug <slug>')
    .action(async ({ slug }: { slug: string }) =>
      withHouse(async (opened) => {
        const { database } = opened.foundation
        const unit = database.unit(operatorCaller(await tenantIdOf(database, slug)))
        const { approval } = await unit.read(() => contractsOf(opened).tenancy.operatorApproval(unit.scope, {}))
        const sentence = approval ? `${slug} approves until ${approval.expiresAt}: ${approval.reason}` : `${slug} has given no approval that is in force.`
        terminal.done({ slug, approval }, sentence)
      }),
    )

  const member = program.command('member').description('people of a tenant')

  member
    .command('recover')
    .description('make an administrator of a tenant that has none any more')
    .requiredOption('--tenant <slug>')
    .requiredOption('--email <email>', 'of somebody who is no administrator there yet')
    .action(async ({ tenant: slug, email }: { tenant: string; email: string }) =>
      withHouse(async (opened) => {
        const { database } = opened.foundation
        const unit = database.unit(operatorCaller(await tenantIdOf(database, slug)))
        const password = firstPassword()
        const made = await unit.command((scope) => contractsOf(opened).identity.recoverAdmin(scope, { email, password }))
        const { membershipId, isNewAccount } = made
        const known = isNewAccount ? `password       ${password}  (shown once)` : 'The person had an account and keeps its password.'
        terminal.done({ membershipId, email, password: isNewAccount ? password : null }, `administrator  ${email}\n${known}`)
      }),
    )

  member
    .command('invite')
    .description('invite a member; with --password-stdin the member is active at once')
    .requiredOption('--tenant <slug>')
    .requiredOption('--email <email>')
    .addOption(new Option('--role <role>', 'what the member is').choices(roles).makeOptionMandatory())
    .option('--provider-org <id>', 'the organisation of a provider_manager')
    .option('--password-stdin', 'read the password from standard input')
    .action(async (options: { tenant: string; email: string; role: Role; providerOrg?: string; passwordStdin?: true }) =>
      withHouse(async (opened) => {
        const { identity } = contractsOf(opened)
        const { database } = opened.foundation
        const unit = database.unit(operatorCaller(await tenantIdOf(database, options.tenant)))
        const newcomer = {
          email: options.email,
          role: options.role,
          ...(options.providerOrg ? { providerOrgId: options.providerOrg } : {}),
        }
        if (options.passwordStdin) {
          const password = (await terminal.typed()).replace(/\r?\n$/, '')
          const { membershipId } = await unit.command((scope) => identity.operatorAddMember(scope, { ...newcomer, password }))
          terminal.done({ membershipId, acceptUrl: null }, `${options.email} is a member now.`)
          return
        }
        const { membershipId, acceptUrl } = await unit.command((scope) => identity.operatorInvite(scope, newcomer))
        terminal.done({ membershipId, acceptUrl }, `${options.email} is invited. The link, good once:\n${acceptUrl}`)
      }),
    )
}
