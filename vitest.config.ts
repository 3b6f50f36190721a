import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

// Many files start servers and commands: what one has compiled, the next need not. It lies in the checkout, where nobody else can put
// code into it.
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, 'node_modules/.cache/compile')

/** The longest first, so that none of them begins when everything else is done. */
const longest = ['test/loss', 'test/isolation', 'test/cli', 'test/two-commands', 'src/platform/db/schema-engine', 'src/platform/jobs/jobs']

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = longest.findIndex((name) => moduleId.includes(`/${name}`))
      return at === -1 ? longest.length : at
    }
    return (await super.sort(files)).sort((a, b) => place(a) - place(b))
  }
}

// Native modules and type stripping as in production: vite's own module runner would load graphql twice.
const each = { pool: 'forks', testTimeout: 30_000, hookTimeout: 60_000, experimental: { viteModuleRunner: false } } as const
/** What replaces a module that other files have loaded already. */
const alone = ['src/modules/identity/credentials/password-cost.test.ts']

export default defineConfig({
  test: {
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...each,
          name: 'house',
          include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
          // Peers of a benchmark that was run here bring tests of their own.
          exclude: ['**/node_modules/**', ...alone],
          globalSetup: 'test/global-setup.ts',
          // A worker goes on with the next file: loading the building once a file was a fifth of the suite's processor time.
          isolate: false,
        },
      },
      { test: { ...each, name: 'alone', include: alone } },
    ],
  },
})
