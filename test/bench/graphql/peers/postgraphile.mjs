/** PostGraphile 5 over the console's tables, with the caller in `pgSettings`. */
import { createServer } from 'node:http'
import { postgraphile } from 'postgraphile'
import { makePgService } from 'postgraphile/adaptors/pg'
import { grafserv } from 'postgraphile/grafserv/node'
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber'
import { announce, callerOf } from './caller.mjs'

const instance = postgraphile({
  extends: [PostGraphileAmberPreset],
  pgServices: [makePgService({ connectionString: process.env.READ_URL, schemas: ['care'], poolConfig: { max: 16 } })],
  grafserv: { graphqlPath: '/graphql', graphiql: false, watch: false },
  grafast: {
    explain: false,
    async context({ node }) {
      const { tenantId, membershipId, role } = await callerOf(node?.req.headers.authorization)
      return {
        pgSettings: { 'app.tenant_id': tenantId, 'app.membership_id': membershipId, 'app.role': role, 'app.provider_org_id': '' },
      }
    },
  },
})
if (process.env.PRINT_SCHEMA) {
  const { printSchema } = await import('postgraphile/graphql')
  console.log(printSchema((await instance.getSchemaResult()).schema))
  process.exit(0)
}
const server = createServer()
await instance.createServ(grafserv).addTo(server)
announce(server)
