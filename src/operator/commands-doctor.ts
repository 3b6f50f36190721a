/** `doctor`. */
import type { Command } from 'commander'
import { diagnose } from './doctor.ts'
import { backupLines } from './doctor-backups.ts'
import type { Terminal } from './terminal.ts'

export function doctorCommand(program: Command, terminal: Terminal): void {
  program
    .command('doctor')
    .description('tell what is wrong and how to mend it')
    .action(async () => {
      const { drawHouse } = await import('../app.ts')
      const diagnosis = await diagnose(process.env, drawHouse())
      const lines = diagnosis.findings.flatMap(({ check, ok, problems }) => [
        `${ok ? 'ok   ' : 'WRONG'}  ${check}`,
        ...problems.map((problem) => `         ${problem}`),
      ])
      if (diagnosis.backups) lines.push('', ...backupLines(diagnosis.backups))
      const { permissions, operations, planeTests } = diagnosis.unbuilt
      const plane = `${planeTests.total - planeTests.built} of ${planeTests.total} plane tests`
      lines.push('', `Not built yet: ${permissions.length} of 58 permissions, ${operations.length} operations that the matrix names, ${plane}.`)
      terminal.done(diagnosis, lines.join('\n'))
      if (!diagnosis.healthy) process.exitCode = 1
    })
}
