/** A tenant's leaving as a table of moves. What is destroyed does not come back: from SHREDDING on nobody cancels. */
import { machine } from '../../../kernel/machine.ts'

export const offboardingMachine = machine({
  initial: 'WAITING',
  moves: [
    { from: 'WAITING', event: 'close', to: 'CLOSED', by: 'operator, when it is due' },
    { from: 'CLOSED', event: 'export', to: 'EXPORTED', by: 'operator' },
    { from: 'EXPORTED', event: 'shred', to: 'SHREDDING', by: 'operator, unless held' },
    { from: 'SHREDDING', event: 'sweep', to: 'SWEPT', by: 'operator' },
    { from: 'SWEPT', event: 'certify', to: 'DONE', by: 'operator' },
    { from: ['WAITING', 'CLOSED', 'EXPORTED'], event: 'cancel', to: 'CANCELLED', by: 'administrator while it waits, operator' },
  ],
})

export const eventTo = { CLOSED: 'close', EXPORTED: 'export', SHREDDING: 'shred', SWEPT: 'sweep', DONE: 'certify' } as const
