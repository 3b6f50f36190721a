import { afterAll, beforeAll, expect, test } from 'vitest'
import { careHouse, gid, type CareHouse } from './test-kit.ts'
import { sdlOf } from '../../platform/graphql/planes.ts'
let house: CareHouse
beforeAll(async () => { house = await careHouse() })
afterAll(async () => { await house.close() })
test('try', async () => {
  console.log(sdlOf(house.composed.schemas.plane.seller))
  console.log('=====', sdlOf(house.composed.schemas.plane.courier))
  const t = await house.tenant()
  const cc = house.member(t, 'care_coordinator')
  const cl = house.member(t, 'clinician')
  console.log(JSON.stringify(await house.ask(cl, `{ a: recipient(id: "xx") { id } b: recipient(id: "${gid('CareRecipient', t)}") { id } c: node(id: "${gid('CareRecipient', t)}") { id } d: careNetwork(recipientId: "${gid('CareRecipient', t)}") { depth } }`), null, 1))
})
