/**
 * Loaded before the server's own modules (`--import`): takes one guard out of the building by putting a module of this folder in place of
 * the one that holds it. `BENCH_WITHOUT` names the guard. The server itself knows no such switch, and nothing outside this benchmark has one.
 */
import { registerHooks } from 'node:module'

/** By guard: the modules that are replaced, by the end of their address, and what stands in their place. */
const replacements: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  token: { '/src/modules/identity/recall.ts': './token.ts' },
  session: { '/src/modules/identity/repo-sessions.ts': './session.ts' },
  permissions: { '/@pothos/plugin-scope-auth/esm/index.js': './permissions.ts', '/src/modules/access/rules.ts': './every-permission.ts' },
  sealing: { '/src/modules/vault/service.ts': './sealing.ts' },
  audit: { '/src/platform/db/intake.ts': './audit.ts' },
  limits: {
    '/src/platform/http/pressure.ts': './pressure.ts',
    '/src/platform/http/framing.ts': './framing.ts',
    '/src/platform/graphql/cost.ts': './cost.ts',
  },
  metrics: { '/src/platform/http/metrics.ts': './metrics.ts' },
  /** What the others are held against: started as they are, with every guard. */
  none: {},
}

const guard = process.env['BENCH_WITHOUT'] ?? ''
const replaced = replacements[guard]
if (!replaced) throw new Error(`No guard is called ${guard}.`)
const used = new Set<string>()
registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context)
    if (context.parentURL?.includes('/bench/graphql/without/')) return found
    const [end, instead] = Object.entries(replaced).find(([one]) => found.url.endsWith(one)) ?? []
    if (end === undefined || instead === undefined) return found
    used.add(end)
    return { ...found, url: new URL(instead, import.meta.url).href, format: 'module-typescript', shortCircuit: true }
  },
})
// A guard that was not found was not taken out either.
setTimeout(() => {
  const missed = Object.keys(replaced).filter((one) => !used.has(one))
  if (missed.length > 0) throw new Error(`Not replaced: ${missed.join(', ')}`)
}, 10_000).unref()
