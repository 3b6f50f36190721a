/** Nothing is written down: where audit rows travel along with a commit there is an empty statement, and reads write none at all. */
import { Unit } from '../../../../src/platform/db/unit.ts'
import type { auditStatement as original } from '../../../../src/platform/db/intake.ts'

export { outboxStatements, type PublishedEvent } from '../../../../src/platform/db/intake.ts'

export const auditStatement: typeof original = () => ({ text: 'select 1', values: [] })
setImmediate(() => {
  Unit.prototype.flushReads = async () => {}
})
