import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

// Beside the default suite, because it needs programs that npm cannot bring: its file does not match `*.test.ts`.
export default defineConfig({
  root: join(import.meta.dirname, '../../..'),
  test: {
    include: ['test/saml/simplesamlphp/*.check.ts'],
    globalSetup: 'test/global-setup.ts',
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    experimental: { viteModuleRunner: false },
  },
})
