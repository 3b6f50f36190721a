// The other side: scimmy behind scimmy-routers and express, with a Map as its store: it verifies the bearer in constant time, checks
// schemas and uniqueness in any case, and answers what ours answers; it keeps nothing. Prints its port.
import { createHash, randomUUID, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'
import express from 'express'
import SCIMMY from 'scimmy'
import SCIMMYRouters from 'scimmy-routers'

const users = new Map()
const names = new Set()
for (let k = 0; k < Number(process.argv[2] ?? 0); k++) {
  const id = randomUUID()
  const userName = `seed${k}@example.org`
  names.add(userName)
  users.set(id, { id, userName, externalId: `x${k}`, active: true, emails: [{ value: userName, type: 'work', primary: true }], meta: {} })
}

SCIMMY.Resources.declare(SCIMMY.Resources.User)
  .ingress((resource, data) => {
    const key = data.userName.toLowerCase()
    if (!resource.id && names.has(key)) throw new SCIMMY.Types.Error(409, 'uniqueness', 'taken')
    names.add(key)
    const id = resource.id ?? randomUUID()
    const at = new Date().toISOString()
    const stored = { active: true, ...JSON.parse(JSON.stringify(data)), id, meta: { created: at, lastModified: at, version: 'W/"1"' } }
    users.set(id, stored)
    return stored
  })
  .egress((resource) => {
    if (!resource.id) return resource.filter ? resource.filter.match([...users.values()]) : [...users.values()]
    if (users.has(resource.id)) return users.get(resource.id)
    throw new SCIMMY.Types.Error(404, null, 'absent')
  })
  .degress((resource) => void users.delete(resource.id))

const hashOf = (text) => createHash('sha256').update(text).digest()
const expected = hashOf('Bearer bench')
const app = express()
app.use('/scim/v2', new SCIMMYRouters({
  type: 'bearer',
  handler: (request) => {
    if (!timingSafeEqual(hashOf(request.header('authorization') ?? ''), expected)) throw new Error('no token')
    return 'bench'
  },
}))
const server = createServer(app).listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`))
