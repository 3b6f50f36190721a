/** Every command of the operator's door, not yet run. A command loads the house only when it needs it. */
import { Command } from 'commander'
import { archiveCommands } from './commands-archive.ts'
import { auditCommands } from './commands-audit.ts'
import { benchCommand } from './commands-bench.ts'
import { databaseCommands } from './commands-database.ts'
import { doctorCommand } from './commands-doctor.ts'
import { keysCommands } from './commands-keys.ts'
import { lookupCommands } from './commands-lookup.ts'
import { offboardCommand } from './commands-offboard.ts'
import { samlCommands } from './commands-saml.ts'
import { scimCommands } from './commands-scim.ts'
import { tenantCommands } from './commands-tenant.ts'
import { tokenCommands } from './commands-token.ts'
import { Terminal } from './terminal.ts'

const everyCommand = (command: Command): Command[] => command.commands.flatMap((one) => [one, ...everyCommand(one)])

/** The program, and the terminal its commands speak through. The arguments are those of `process.argv`. */
export function buildProgram(argv: readonly string[] = []): { readonly program: Command; readonly terminal: Terminal } {
  const program = new Command('maristan')
    .description('Run and look after a Maristan server.')
    .option('--json', 'print one JSON document')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError(true)

  program
    .command('serve')
    .description('start the server (what npm start does)')
    .action(async () => void (await import('../main.ts')))

  const terminal = new Terminal(() => program.opts<{ json?: true }>().json === true || argv.includes('--json'))
  const groups = [
    databaseCommands, doctorCommand, tenantCommands, archiveCommands, offboardCommand, keysCommands, lookupCommands, tokenCommands, samlCommands,
    scimCommands, auditCommands, benchCommand,
  ]
  for (const add of groups) add(program, terminal)

  // `--json` may stand anywhere: before the command or after it.
  for (const command of everyCommand(program)) {
    if (!command.options.some((option) => option.long === '--json')) command.option('--json', 'print one JSON document')
    command.exitOverride()
  }
  return { program, terminal }
}
