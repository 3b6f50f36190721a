import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

// Beside the default suite, because it needs a program that npm cannot bring: its file does not match `*.test.ts`.
export default defineConfig({
  root: join(import.meta.dirname, '../..'),
  test: {
    include: ['test/pooler/*.check.ts'],
    globalSetup: 'test/global-setup.ts',
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    experimental: { viteModuleRunner: false },
  },
})
