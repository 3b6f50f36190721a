import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createKeyCache, type KeyCacheOptions } from './key-cache.ts'
import { keysUnavailable } from './kms.ts'
import { open, seal, type SealedPlace } from './seal.ts'

const place: SealedPlace = { tenantId: 'tenant-a', model: 'Recipient', field: 'phi', rowId: 'row-1' }
const wiped = Buffer.alloc(32)

/** A cache under a clock of our own, and a loader that remembers every Buffer it gave away. */
function make(options: KeyCacheOptions = {}) {
  const clock = { ms: 0, nowMs: () => clock.ms }
  const cache = createKeyCache({ clock, ...options })
  const loaded: Buffer[] = []
  const load = async () => {
    const key = randomBytes(32)
    loaded.push(key)
    return key
  }
  return { cache, clock, load, loaded }
}

/** Ends the current tick; what is due to be wiped was queued before. */
function tickOver(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function isWiped(key: Buffer | undefined): boolean {
  return key !== undefined && key.equals(wiped)
}

afterEach(() => {
  vi.useRealTimers()
})

describe('the key cache', () => {
  it('loads a key once and keeps it whole while it lives', async () => {
    const { cache, load, loaded } = make()
    const sealed = await cache.use('t1/1', load, (key) => seal(key, 1, place, 'text'))
    await tickOver()
    expect(await cache.use('t1/1', load, (key) => open(key, place, sealed))).toBe('text')
    expect(await cache.get('t1/1', load)).toBe(loaded[0])
    expect(loaded.length).toBe(1)
  })

  it('loads once for ten who ask at the same time, and apart for another id', async () => {
    const { cache, load, loaded } = make()
    const keys = await Promise.all(Array.from({ length: 10 }, () => cache.get('t1/1', load)))
    expect(loaded.length).toBe(1)
    expect(new Set(keys)).toEqual(new Set(loaded))
    expect(await cache.get('t2/1', load)).toBe(loaded[1])
  })

  it('says at once whether a key is kept: not before it was loaded, not after its time, and not when it was forgotten', async () => {
    const { cache, clock, load, loaded } = make()
    expect(cache.kept('t1/1')).toBeNull()
    await cache.get('t1/1', load)
    clock.ms = 299_999
    expect(cache.kept('t1/1')).toBe(loaded[0])
    expect(cache.kept('t1/10')).toBeNull()
    clock.ms = 300_000
    expect(cache.kept('t1/1')).toBeNull()
    for (const forget of [() => cache.evict('t1/'), () => cache.close()]) {
      await cache.get('t1/1', load)
      expect(cache.kept('t1/1')).toBe(loaded.at(-1))
      forget()
      expect(cache.kept('t1/1')).toBeNull()
    }
  })

  it('hands out a key until its time is over, never after, and wipes it then', async () => {
    const { cache, clock, load, loaded } = make()
    await cache.get('t1/1', load)
    clock.ms = 299_999
    expect(await cache.get('t1/1', load)).toBe(loaded[0])
    clock.ms = 300_000
    expect(await cache.get('t1/1', load)).toBe(loaded[1])
    await tickOver()
    expect(loaded.map(isWiped)).toEqual([true, false])
  })

  it('wipes an expired key that nobody asks for again', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { cache, load, loaded } = make({ ttlMs: 60_000 })
    await cache.get('t1/1', load)
    await vi.advanceTimersByTimeAsync(59_999)
    await tickOver()
    expect(isWiped(loaded[0])).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    await tickOver()
    expect(isWiped(loaded[0])).toBe(true)
  })

  it('leaves alone the successor of an evicted key when the time of the evicted one is over', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { cache, load, loaded } = make({ ttlMs: 60_000 })
    await cache.get('t1/1', load)
    await vi.advanceTimersByTimeAsync(30_000)
    cache.evict('t1/')
    await cache.get('t1/1', load)
    await vi.advanceTimersByTimeAsync(30_000)
    await tickOver()
    expect(loaded.map(isWiped)).toEqual([true, false])
  })

  it('keeps no more keys than its bound: the least recently used is wiped', async () => {
    const { cache, load, loaded } = make({ maxKeys: 2 })
    await cache.get('a', load)
    await cache.get('b', load)
    await cache.get('a', load)
    await cache.get('c', load)
    await tickOver()
    expect(loaded.map(isWiped)).toEqual([false, true, false])
  })

  it('keeps a key no longer than the one it was unwrapped with, and not at all without that one', async () => {
    const { cache, clock, load, loaded } = make()
    await cache.get('parent', load)
    clock.ms = 200_000
    await cache.get('child', load, 'parent')
    clock.ms = 299_999
    expect(await cache.get('child', load, 'parent')).toBe(loaded[1])
    clock.ms = 300_000
    expect(await cache.get('child', load, 'parent')).toBe(loaded[2])
    await tickOver()
    expect(loaded.map(isWiped)).toEqual([true, true, true])
    expect(await cache.get('child', load, 'parent')).toBe(loaded[3])
  })

  it('evicts by prefix and wipes what it evicts, nothing else', async () => {
    const { cache, load, loaded } = make()
    for (const id of ['t1/1', 't1/2', 't10/1']) await cache.get(id, load)
    cache.evict('t1/')
    await tickOver()
    expect(loaded.map(isWiped)).toEqual([true, true, false])
    expect(await cache.get('t1/1', load)).toBe(loaded[3])
  })

  it('does not wipe a key under the hands of those who were just given it', async () => {
    const { cache, load, loaded } = make({ maxKeys: 1 })
    const uses = ['a', 'b', 'c'].map((id) =>
      cache.use(id, load, (key) => {
        cache.evict('')
        return open(key, place, seal(key, 1, place, id))
      }),
    )
    const awaited = (async () => {
      const key = await cache.get('a', load)
      cache.evict('')
      return open(key, place, seal(key, 1, place, 'after the await'))
    })()
    expect(await Promise.all([...uses, awaited])).toEqual(['a', 'b', 'c', 'after the await'])
    await tickOver()
    expect(loaded.map(isWiped)).toEqual([true, true, true])
  })

  it('refuses a function that would still hold the key when the tick is over', async () => {
    const { cache, load } = make()
    await expect(cache.use('a', load, async (key) => key.length)).rejects.toThrow('synchronously')
    expect(await cache.use('a', load, (key) => key.length)).toBe(32)
  })

  it('does not keep a failure: all who waited get it, the next one loads again', async () => {
    const { cache, load, loaded } = make()
    let failures = 0
    const fail = async (): Promise<Buffer> => {
      failures++
      throw keysUnavailable({ reason: 'The KMS is away.' })
    }
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => cache.get('a', fail)))
    expect(results.every((result) => result.status === 'rejected' && keysUnavailable.is(result.reason))).toBe(true)
    expect(failures).toBe(1)
    expect(await cache.get('a', load)).toBe(loaded[0])
  })

  it('takes a load that throws at once for a failure like any other', async () => {
    const { cache, load, loaded } = make()
    const fail = () => {
      throw new Error('at once')
    }
    await expect(cache.get('a', fail)).rejects.toThrow('at once')
    expect(await cache.get('a', load)).toBe(loaded[0])
  })

  it('serves those who waited for a load that was evicted under way, but does not keep its key', async () => {
    const { cache, load, loaded } = make()
    const gate = Promise.withResolvers<Buffer>()
    const early = cache.use('t1/1', () => gate.promise, (key) => Buffer.from(key))
    cache.evict('t1/')
    const late = cache.get('t1/1', load)
    const first = randomBytes(32)
    const copy = Buffer.from(first)
    gate.resolve(first)
    expect((await early).equals(copy)).toBe(true)
    expect(await late).toBe(loaded[0])
    await tickOver()
    expect([isWiped(first), isWiped(loaded[0])]).toEqual([true, false])
    expect(await cache.get('t1/1', load)).toBe(loaded[0])
  })

  it('once closed has wiped every key, also those that arrive late, and gives out none', async () => {
    const { cache, load, loaded } = make()
    await cache.get('a', load)
    const gate = Promise.withResolvers<Buffer>()
    const waiting = cache.get('b', () => gate.promise)
    cache.close()
    const late = randomBytes(32)
    gate.resolve(late)
    await expect(waiting).rejects.toMatchObject({ code: keysUnavailable.code })
    await expect(cache.get('a', load)).rejects.toMatchObject({ code: keysUnavailable.code })
    await tickOver()
    expect([isWiped(loaded[0]), isWiped(late), loaded.length]).toEqual([true, true, 1])
  })

  it('refuses to let keys live longer than five minutes', () => {
    for (const ttlMs of [0, -1, Number.NaN, 300_001]) expect(() => createKeyCache({ ttlMs })).toThrow(RangeError)
    expect(() => createKeyCache({ ttlMs: 300_000 })).not.toThrow()
  })
})
