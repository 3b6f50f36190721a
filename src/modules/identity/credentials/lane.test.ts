import { describe, expect, it } from 'vitest'
import { createLane } from './lane.ts'

/** Work that ends when told, and a count of how many run at once. */
function workshop() {
  const open: { end: () => void; fail: (error: Error) => void }[] = []
  const state = { running: 0, peak: 0, started: [] as number[] }
  const work = (id: number) => async () => {
    state.started.push(id)
    state.peak = Math.max(state.peak, ++state.running)
    try {
      await new Promise<void>((end, fail) => open.push({ end, fail }))
    } finally {
      state.running--
    }
    return id
  }
  return { open, state, work }
}

const settled = () => new Promise<void>((done) => setImmediate(done))

describe('a lane', () => {
  it('never runs more than its width at once, and serves in order of arrival', async () => {
    const { open, state, work } = workshop()
    const lane = createLane({ width: 2, queue: 50 })
    const results = Promise.all(Array.from({ length: 20 }, (_, id) => lane.run(work(id))))
    for (let ended = 0; ended < 20; ended++) {
      await settled()
      open.shift()!.end()
    }
    expect(await results).toEqual(Array.from({ length: 20 }, (_, id) => id))
    expect(state.peak).toBe(2)
    expect(state.started).toEqual(Array.from({ length: 20 }, (_, id) => id))
  })

  it('refuses at once what would not fit the queue, without starting it, and takes work again afterwards', async () => {
    const { open, state, work } = workshop()
    const lane = createLane({ width: 1, queue: 2 })
    const accepted = [0, 1, 2].map((id) => lane.run(work(id)))
    await expect(lane.run(work(3))).rejects.toMatchObject({ kind: 'unavailable', code: 'OVERLOADED' })
    for (const _ of accepted) {
      await settled()
      open.shift()!.end()
    }
    await Promise.all(accepted)
    expect(state.started).toEqual([0, 1, 2])
    const later = lane.run(work(4))
    await settled()
    open.shift()!.end()
    expect(await later).toBe(4)
  })

  it('gives the place back when the work fails', async () => {
    const lane = createLane({ width: 1, queue: 1 })
    for (let round = 0; round < 5; round++) {
      await expect(lane.run(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
    }
    expect(await lane.run(async () => 'served')).toBe('served')
  })

  it('does not let a newcomer overtake the one it has just admitted', async () => {
    const { open, state, work } = workshop()
    const lane = createLane({ width: 1, queue: 5 })
    const first = lane.run(work(0))
    const second = lane.run(work(1))
    await settled()
    open.shift()!.end()
    await first
    const third = lane.run(work(2))
    await settled()
    expect(state.started).toEqual([0, 1])
    open.shift()!.end()
    await second
    await settled()
    open.shift()!.end()
    await third
    expect(state.peak).toBe(1)
  })
})
