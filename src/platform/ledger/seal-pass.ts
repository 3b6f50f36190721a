/**
 * One pass of the sealer, one transaction: takes the lock, reads where sealing stands, and appends the links of what can be sealed. It
 * remembers the heads of the chains as long as nobody else has sealed in between.
 */
import { LRUCache } from 'lru-cache'
import type pg from 'pg'
import { genesis, linkHash } from './chain.ts'

interface Head {
  readonly seq: number
  readonly hash: Buffer
}

interface Unsealed {
  readonly tenantId: string
  readonly id: string
  readonly at: string
  readonly epoch: number
  readonly xid: string
  readonly digest: Buffer
}

interface Cursor {
  readonly epoch: number
  readonly xid: string
  readonly id: string
  readonly ahead: boolean
}

const beginning: Cursor = { epoch: -1, xid: '0', id: '00000000-0000-0000-0000-000000000000', ahead: false }
const nameOf = ({ epoch, xid, id }: Pick<Cursor, 'epoch' | 'xid' | 'id'>): string => `${epoch}/${xid}/${id}`

/** The order of sealing does not hold: the database was restored and its transactions are counted anew. */
export class OrderLost extends Error {
  readonly code = 'SEALING_ORDER_LOST'

  constructor() {
    super('The audit trail was restored from another database. Run maristan migrate: it begins a new epoch, and sealing goes on.')
    this.name = 'OrderLost'
  }
}

export interface Pass {
  /**
   * @param at sends what it is given at once, without waiting for the answer before. After an error its transaction may still be open.
   * @returns how many lines it linked; null when another process holds the lock.
   */
  seal(at: pg.Client): Promise<number | null>
  /** After a transaction that did not commit: what is remembered may never have been. */
  forget(): void
}

const look = `begin;
  select pg_try_advisory_xact_lock(hashtext('maristan audit sealer')) as mine;
  select epoch, xid::text, event_id as id, ahead from gate.seal_cursor()`

export function createPass(): Pass {
  const heads = new LRUCache<string, Head>({ max: 20_000 })
  let cursor = ''

  async function seal(at: pg.Client): Promise<number | null> {
    // Statements of their own in one message: only after the lock is it seen what the holder before committed.
    const looked = (await at.query(look)) as unknown as readonly [unknown, pg.QueryResult<{ mine: boolean }>, pg.QueryResult<Cursor>]
    const [, { rows: locks }, { rows: cursors }] = looked
    if (!locks[0]!.mine) {
      await at.query('rollback')
      return null
    }
    const stands = cursors[0] ?? beginning
    if (stands.ahead) throw new OrderLost()
    if (nameOf(stands) !== cursor) heads.clear()
    let rows = await unsealedAfter(at, stands, null)
    if (rows.length === 0) {
      // Nothing, or held up by a transaction of another database of the cluster: asking which costs more, so it is asked last.
      const { rows: floors } = await at.query<{ floor: string }>('select gate.seal_floor()::text as floor')
      rows = await unsealedAfter(at, stands, floors[0]!.floor)
    }
    cursor = nameOf(rows.at(-1) ?? stands)
    if (rows.length === 0) {
      await at.query('rollback')
      return 0
    }
    const byTenant = Map.groupBy(rows, ({ tenantId }) => tenantId)
    await learnHeads(at, [...byTenant.keys()].filter((tenantId) => !heads.has(tenantId)))
    // Sent together: the commit of a transaction whose links failed undoes it.
    await Promise.all([append(at, byTenant), at.query('commit')])
    return rows.length
  }

  async function unsealedAfter(at: pg.Client, { epoch, xid, id }: Cursor, floor: string | null): Promise<Unsealed[]> {
    const { rows } = await at.query<Unsealed>(
      `select tenant_id as "tenantId", id, at::text, epoch, xid::text, digest from gate.unsealed($1, $2, $3, $4)`,
      [epoch, xid, id, floor],
    )
    return rows
  }

  /** Sends the links of lines whose chains' heads are known. */
  function append(at: pg.Client, byTenant: ReadonlyMap<string, readonly Unsealed[]>): Promise<unknown> {
    const inOrder: Unsealed[] = []
    const begins: number[] = []
    const seqs: number[] = []
    const prevs: Buffer[] = []
    const hashes: Buffer[] = []
    for (const [tenantId, lines] of byTenant) {
      let head = heads.get(tenantId) ?? { seq: 0, hash: genesis(tenantId) }
      begins.push(inOrder.length + 1)
      seqs.push(head.seq + 1)
      for (const line of lines) {
        inOrder.push(line)
        prevs.push(head.hash)
        head = { seq: head.seq + 1, hash: linkHash(head.hash, head.seq + 1, line.digest) }
        hashes.push(head.hash)
      }
      heads.set(tenantId, head)
    }
    return at.query('select audit.append_links($1, $2, $3, $4, $5, $6, $7::text[]::xid8[], $8, $9)', [
      [...byTenant.keys()],
      begins,
      seqs,
      inOrder.map((line) => line.at),
      inOrder.map((line) => line.id),
      inOrder.map((line) => line.epoch),
      inOrder.map((line) => line.xid),
      Buffer.concat(prevs),
      Buffer.concat(hashes),
    ])
  }

  async function learnHeads(at: pg.Client, tenants: readonly string[]): Promise<void> {
    if (tenants.length === 0) return
    const { rows } = await at.query<{ tenantId: string; seq: string; hash: Buffer }>(
      'select tenant_id as "tenantId", seq, row_hash as hash from gate.chain_heads($1)',
      [tenants],
    )
    for (const { tenantId, seq, hash } of rows) heads.set(tenantId, { seq: Number(seq), hash })
  }

  return {
    seal,
    forget() {
      heads.clear()
      cursor = ''
    },
  }
}
