import { defineConfig } from 'prisma/config'

// The owner's connection, for Prisma's own command line; the server itself migrates by `maristan migrate`.
export default defineConfig({
  schema: 'prisma/schema',
  migrations: { path: 'prisma/migrations' },
  ...(process.env['DATABASE_OWNER_URL'] ? { datasource: { url: process.env['DATABASE_OWNER_URL'] } } : {}),
})
