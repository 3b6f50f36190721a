import { afterAll, beforeAll, expect, test } from 'vitest'
import { careHouse, gid, type CareHouse } from './test-kit.ts'
let house: CareHouse
beforeAll(async () => { house = await careHouse() })
afterAll(async () => { await house.close() })
test('try', async () => {
  const t = await house.tenant()
  const cc = house.member(t, 'care_coordinator')
  const made = await house.ask(cc, `mutation { createRecipient(input: { givenName: "فَاطِمَة", familyName: "Haddad", birthDate: "1941-03-27", sex: FEMALE }) { __typename ... on CareRecipient { id givenName sex birthYear version party { id name } } ... on Fault { code message } ... on InvalidFault { issues { path message } } } }`)
  console.log(JSON.stringify(made, null, 1))
  const r = made.data!['createRecipient'].id
  console.log(JSON.stringify(await house.ask(cc, `{ recipients(first: 5) { edges { cursor node { id givenName familyName party { kind outgoing(first: 2) { edges { node { id } } } } consents { edges { node { state } } } } } } careNetwork(recipientId: "${r}") { depth truncated members { distance path capabilities combined party { id kind name phone } } } recipient(id: "${r}") { id } }`), null, 1))
  console.log(JSON.stringify(await house.at.owner('select action, resource, outcome, detail, subject_id from audit.event order by at'), null, 1))
})
