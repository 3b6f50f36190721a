/** Liveness and readiness. Liveness asks nobody; readiness names what fails and never says why. */
import { answerJson } from './answer.ts'
import type { Route } from './router.ts'

/** Resolves when the dependency is usable, rejects when not. It is called at most once at a time, however many ask. */
export type ReadinessCheck = () => Promise<void>

const defaultTimeoutMs = 2000

async function passes(check: ReadinessCheck, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, false)
  })
  try {
    const held = Promise.try(check).then(
      () => true,
      () => false,
    )
    return await Promise.race([held, late])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * The routes `/healthz` (200 while the process answers) and `/readyz` (200, or 503 with the names of the failing checks;
 * `stopping` once the server is told to stop).
 * @param checks by name; each has `timeoutMs` (2 s unless told) to hold.
 */
export function healthRoutes(checks: Readonly<Record<string, ReadinessCheck>>, timeoutMs: number = defaultTimeoutMs): Route[] {
  const failures = async (): Promise<string[]> => {
    const verdicts = await Promise.all(
      Object.entries(checks).map(async ([name, check]) => ((await passes(check, timeoutMs)) ? null : name)),
    )
    return verdicts.filter((name) => name !== null)
  }
  let running: Promise<string[]> | null = null
  const failing = (): Promise<string[]> => {
    running ??= failures().finally(() => {
      running = null
    })
    return running
  }

  return [
    {
      method: 'GET',
      path: '/healthz',
      name: 'healthz',
      essential: true,
      handle: (_request, response) => answerJson(response, 200, { alive: true }),
    },
    {
      method: 'GET',
      path: '/readyz',
      name: 'readyz',
      essential: true,
      handle: async (_request, response, { stopping }) => {
        const names = stopping.aborted ? ['stopping'] : await failing()
        answerJson(response, names.length === 0 ? 200 : 503, { ready: names.length === 0, failing: names })
      },
    },
  ]
}
