/** How sides are compared: the same records first, then rounds of each in turn, with the processor time of the side and of Postgres. */
import { isDeepStrictEqual } from 'node:util'
import { interleave, median, type Side } from '../kit/interleave.ts'
import { signIn, type Asked, type Case, type Words } from './cases.ts'
import type { BenchGround, BenchTenant } from './ground.ts'
import { askOnce, encode, Load, percentile } from './load.ts'
import type { SideProcess } from './sides.ts'

const rounds = Number(process.env['BENCH_ROUNDS'] ?? 7)
const roundMs = Number(process.env['BENCH_ROUND_MS'] ?? 500)
/**
 * Until the machine code of a side is what it stays: an answer of ours takes half as long again in the first seconds, and a server runs for
 * weeks. Every side of a case has as long.
 */
export const usualWarmMs = Number(process.env['BENCH_WARM_MS'] ?? 8_000)
const variants = 64

export interface Figures {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Processor time of the side's own process, without Postgres. */
  readonly cpuMicroseconds: number
  /** Processor time of all of Postgres, with what it does behind the answers. */
  readonly postgresMicroseconds: number
  /** Requests that were not answered, for load or after a time limit; they count for nothing else. */
  readonly refused: number
}

/** Signs the tenants' coordinators in: tokens live ten minutes, so each case begins anew. */
export async function tokensOf(port: number, tenants: readonly BenchTenant[]): Promise<Map<string, string>> {
  const tokens = new Map<string, string>()
  for (const tenant of tenants) {
    const reply = await askOnce(port, signIn.ours.request({ tenant, token: '', k: 0 }))
    const { data } = JSON.parse(reply.body) as { data?: { signIn?: { accessToken?: string } } }
    if (!data?.signIn?.accessToken) throw new Error(`Our server did not sign ${tenant.email} in: ${reply.status} ${reply.body}`)
    tokens.set(tenant.id, data.signIn.accessToken)
  }
  return tokens
}

async function recordsOf(process: SideProcess, words: Words, asked: Asked): Promise<unknown> {
  const reply = await askOnce(process.port, words.request(asked))
  const { data, errors } = JSON.parse(reply.body) as { data?: never; errors?: unknown }
  if (reply.status !== 200 || errors !== undefined || !data) throw new Error(`${process.name} answered ${reply.status} ${reply.body}`)
  return words.records(data)
}

export interface Standing {
  readonly name: string
  readonly process: SideProcess
  readonly words: Words
  /** Other tenants than everybody's. */
  readonly tenants?: readonly BenchTenant[]
  /** Around each of its rounds: what is otherwise for it alone. */
  readonly begin?: () => Promise<void>
  readonly end?: () => Promise<void>
}

/** @throws when two sides do not answer the same records. */
export async function compare(one: Case, standing: readonly Standing[], tenants: readonly BenchTenant[], tokens: Map<string, string>): Promise<void> {
  for (const tenant of tenants) {
    const asked = { tenant, token: tokens.get(tenant.id)!, k: 7 }
    const [first, ...others] = standing
    const expected = await recordsOf(first!.process, first!.words, asked)
    for (const { process, words } of others) {
      const found = await recordsOf(process, words, asked)
      if (isDeepStrictEqual(found, expected)) continue
      throw new Error(`${one.name}: ${process.name} answers otherwise:\n${JSON.stringify(found)}\n${JSON.stringify(expected)}`)
    }
  }
}

export interface Timing {
  readonly ground: BenchGround
  readonly tenants: readonly BenchTenant[]
  readonly tokens: Map<string, string>
  readonly connections: number
  readonly warmMs?: number
}

interface Sums {
  readonly latenciesMs: number[]
  readonly perSecond: number[]
  cpuSeconds: number
  postgresSeconds: number
  done: number
  refused: number
}

/** Times the sides in turn, at one number of connections. */
export async function time(standing: readonly Standing[], timing: Timing): Promise<Record<string, Figures>> {
  const { ground, tokens, connections, warmMs = usualWarmMs } = timing
  const measured = new Map<string, Sums>()
  const loads: Load[] = []
  const sides = standing.map(({ name, process, words, tenants = timing.tenants, begin, end }): Side => {
    const load = new Load(process.port, connections)
    loads.push(load)
    const requests = Array.from({ length: variants }, (_, k) => {
      const tenant = tenants[k % tenants.length]!
      return encode(words.request({ tenant, token: tokens.get(tenant.id)!, k }))
    })
    const sums: Sums = { latenciesMs: [], perSecond: [], cpuSeconds: 0, postgresSeconds: 0, done: 0, refused: 0 }
    measured.set(name, sums)
    let warm = false
    return {
      name,
      async round() {
        if (begin) {
          await begin()
          // Whatever has to be planned anew is no part of what is measured.
          await load.burst(requests, 100)
        }
        const [cpu, postgres, startedMs] = [process.cpuSeconds(), ground.postgresSeconds(), performance.now()]
        // The first round is for the machine code of both ends, and is not measured.
        const burst = await load.burst(requests, warm ? roundMs : warmMs)
        if (warm) {
          sums.perSecond.push((burst.done * 1_000) / (performance.now() - startedMs))
          sums.cpuSeconds += process.cpuSeconds() - cpu
          sums.postgresSeconds += ground.postgresSeconds() - postgres
          for (const one of burst.latenciesMs) sums.latenciesMs.push(one)
          sums.done += burst.done
          sums.refused += Object.values(burst.refused).reduce((sum, one) => sum + one, 0)
        }
        warm = true
        await end?.()
        return burst.done
      },
    }
  })
  try {
    await interleave(sides, rounds)
    return Object.fromEntries([...measured].map(([name, sums]) => [name, figuresOf(sums)]))
  } finally {
    for (const load of loads) load.close()
  }
}

function figuresOf({ latenciesMs, perSecond, cpuSeconds, postgresSeconds, done, refused }: Sums): Figures {
  return {
    perSecond: Math.round(median(perSecond)),
    p50Ms: twoDigits(percentile(latenciesMs, 0.5)),
    p99Ms: twoDigits(percentile(latenciesMs, 0.99)),
    cpuMicroseconds: Math.round((cpuSeconds * 1e6) / done),
    postgresMicroseconds: Math.round((postgresSeconds * 1e6) / done),
    refused,
  }
}

export const twoDigits = (value: number): number => Number(value.toFixed(2))
