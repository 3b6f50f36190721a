/** Our side as a process of its own, so that its client's work is nobody's but the client's. Prints where it is reached and with which tokens. */
import { scimRig } from '../../kit/scim.ts'

const rig = await scimRig()
const directories = []
for (let k = 0; k < 5; k++) {
  const { tenant, connectionId, token } = await rig.directory(await rig.house.tenant())
  directories.push({ tenantId: tenant.id, connectionId, token })
}
process.on('SIGTERM', () => void rig.close().then(() => process.exit(0)))
console.log(JSON.stringify({ url: `${rig.house.url}/scim/v2`, ownerUrl: rig.house.at.ownerUrl, directories }))
