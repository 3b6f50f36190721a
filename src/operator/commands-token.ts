/** `api-token create`. */
import type { Command } from 'commander'
import { invalidInput } from '../kernel/fault.ts'
import { isPermission, type Permission } from '../modules/access/contract.ts'
import type { Identity } from '../modules/identity/contract.ts'
import { withHouse } from './open.ts'
import { operatorCaller, tenantIdOf } from './operator-scope.ts'
import type { Terminal } from './terminal.ts'

function permissionsNamed(list: string): Permission[] {
  return list.split(',').map((name) => {
    const permission = name.trim()
    if (!isPermission(permission)) throw invalidInput({ issues: [{ path: 'permissions', message: `${permission} is no permission` }] })
    return permission
  })
}

/** The moment that a life like `90d` or `12h` from now ends. @throws INVALID_INPUT */
export function expiryAfter(life: string, nowMs: number): string {
  const [, amount, unit] = /^(\d{1,5})([dh])$/.exec(life) ?? []
  if (!amount || Number(amount) === 0) throw invalidInput({ issues: [{ path: 'expires', message: 'is not a life like 90d or 12h' }] })
  return new Date(nowMs + Number(amount) * (unit === 'd' ? 86_400_000 : 3_600_000)).toISOString()
}

export function tokenCommands(program: Command, terminal: Terminal): void {
  program
    .command('api-token')
    .description('tokens for programs')
    .command('create')
    .description('make an API token; it is shown once')
    .requiredOption('--tenant <slug>')
    .requiredOption('--name <name>', 'what it is for')
    .requiredOption('--permissions <list>', 'comma-separated, for example tenant:read,user:read')
    .option('--expires <life>', 'for example 90d')
    .action(async (options: { tenant: string; name: string; permissions: string; expires?: string }) => {
      const permissions = permissionsNamed(options.permissions)
      const expiry = options.expires ? { expiresAt: expiryAfter(options.expires, Date.now()) } : {}
      await withHouse(async ({ house, foundation: { database } }) => {
        const identity = house.made['identity']!.contract as Identity
        const unit = database.unit(operatorCaller(await tenantIdOf(database, options.tenant)))
        const made = await unit.command((scope) =>
          identity.operatorCreateApiToken(scope, { name: options.name, permissions, ...expiry }),
        )
        terminal.done(made, `${made.token}\n(shown once)`)
      })
    })
}
