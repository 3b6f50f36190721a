/**
 * One pass of the sealer: one statement, one transaction, one round trip (`audit.seal_pass` in SQL). It takes the lock, reads where
 * sealing stands, and appends the links of what can be sealed.
 */
import pg from 'pg'

/** The order of sealing does not hold: the database was restored and its transactions are counted anew. */
export class OrderLost extends Error {
  readonly code = 'SEALING_ORDER_LOST'

  constructor() {
    super('The audit trail was restored from another database. Run maristan migrate: it begins a new epoch, and sealing goes on.')
    this.name = 'OrderLost'
  }
}

/** What `audit.seal_pass` raises where the last link was numbered by a transaction that is yet to come. */
const orderLost = 'ML002'

/** @returns how many lines it linked; null when another process holds the lock. @throws {OrderLost} */
export async function sealPass(at: pg.Client): Promise<number | null> {
  try {
    const { rows } = await at.query<{ linked: number | null }>('select audit.seal_pass() as linked')
    return rows[0]!.linked
  } catch (error) {
    throw error instanceof pg.DatabaseError && error.code === orderLost ? new OrderLost() : error
  }
}
