/** Protected records stand in their columns as JSON after a mark: no key is read, nothing is opened. The same reads are recorded. */
import * as original from '../../../../src/modules/vault/service.ts'
import { plainMark } from './plain.ts'

export const createVault: typeof original.createVault = (parts) => ({
  ...original.createVault(parts),
  open: async (_scope, { items }) => ({
    records: items.map(({ sealed }) => JSON.parse(sealed.slice(plainMark.length))),
    refusals: items.map(() => null),
  }),
})
