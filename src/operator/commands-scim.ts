/** `scim token create`, `scim trace`. */
import type { Command } from 'commander'
import { invalidInput } from '../kernel/fault.ts'
import { isUuid } from '../kernel/id.ts'
import type { Scim } from '../modules/federation/scim/contract.ts'
import type { Config } from '../platform/config.ts'
import { expiryAfter } from './commands-token.ts'
import { withHouse } from './open.ts'
import { operatorCaller, tenantIdOf } from './operator-scope.ts'
import { table, type Terminal } from './terminal.ts'

interface TraceOptions {
  readonly tenant: string
  readonly connection?: string
  readonly status?: string
  readonly method?: string
  readonly path?: string
  readonly limit: string
  readonly replay?: string
}

/** The connection that a token is for where none is named. */
const usualConnection = 'Directory'

/** Where directories reach us. The token names the tenant, so one address serves all of them. */
export function scimBaseUrl({ publicUrl, port }: Pick<Config, 'publicUrl' | 'port'>): string {
  return `${(publicUrl ?? `http://127.0.0.1:${port}`).replace(/\/$/, '')}/scim/v2`
}

function number(name: string, text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw invalidInput({ issues: [{ path: name, message: 'is no number' }] })
  return Number(text)
}

export function scimCommands(program: Command, terminal: Terminal): void {
  const scim = program.command('scim').description("customers' directories")

  scim
    .command('token')
    .description('bearer tokens of directories')
    .command('create')
    .description('make a token; it is shown once')
    .requiredOption('--tenant <slug>')
    .requiredOption('--name <name>', 'what it is for')
    .option('--connection <name>', 'the directory it belongs to; made if there is none of that name', usualConnection)
    .option('--expires <life>', 'for example 90d')
    .action(async (options: { tenant: string; name: string; connection: string; expires?: string }) => {
      const expiry = options.expires ? { expiresAt: expiryAfter(options.expires, Date.now()) } : {}
      await withHouse(async ({ config, house, foundation: { database } }) => {
        const contract = house.made['scim']!.contract as Scim
        const unit = database.unit(operatorCaller(await tenantIdOf(database, options.tenant)))
        const { name, connection } = options
        const { id, token } = await unit.command((scope) => contract.operatorCreateToken(scope, { name, connection, ...expiry }))
        const baseUrl = scimBaseUrl(config)
        terminal.done({ id, token, baseUrl }, `${token}\n(shown once; for ${baseUrl})`)
      })
    })

  scim
    .command('trace')
    .description('the last requests of directories, without secrets and personal values; or one of them again, as a dry run')
    .requiredOption('--tenant <slug>')
    .option('--connection <id>', 'of one directory only')
    .option('--status <status>', '404, or 4 for 400 to 499')
    .option('--method <method>', 'for example PATCH')
    .option('--path <part>', 'what the path contains, for example an id')
    .option('--limit <count>', 'at most 200', '50')
    .option('--replay <id>', 'send this exchange again and take back what it did')
    .action(async (options: TraceOptions) =>
      withHouse(async ({ house, foundation: { database } }) => {
        const contract = house.made['scim']!.contract as Scim
        const unit = database.unit(operatorCaller(await tenantIdOf(database, options.tenant)))
        const { replay, connection, status, method, path } = options
        if (replay !== undefined) {
          if (!isUuid(replay)) throw invalidInput({ issues: [{ path: 'replay', message: 'is not an id' }] })
          const again = await unit.read(() => contract.replay(unit.scope, { id: replay }))
          terminal.done({ ...again, answer: JSON.parse(again.answer) as unknown }, `${again.status}\n${again.answer}`)
          return
        }
        const exchanges = await unit.read(() =>
          contract.exchanges(unit.scope, {
            first: number('limit', options.limit),
            ...(connection ? { connectionId: connection } : {}),
            ...(status ? { status: number('status', status) } : {}),
            ...(method ? { method: method.toUpperCase() as 'GET' } : {}),
            ...(path ? { path } : {}),
          }),
        )
        const lines = exchanges.map((one) => {
          const address = `${one.path}${one.query ? `?${one.query}` : ''}`
          return [one.id, one.at.toISOString(), one.method, address, String(one.status), one.scimType ?? '', `${one.durationMs} ms`]
        })
        const shown = exchanges.map(({ body, ...one }) => ({ ...one, body: body === null ? null : (JSON.parse(body) as unknown) }))
        terminal.done({ exchanges: shown }, table(lines))
      }),
    )
}
