/** Against a name server of this test: one that knows a name, and one that says nothing. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { txtRecords } from './txt-records.ts'

/** What is asked of it, and what it answers; null: nothing. @returns its address, and how often it was asked */
async function nameServer(records: readonly (readonly string[])[] | null): Promise<{ at: string; asked: () => number }> {
  let asked = 0
  const socket: Socket = createSocket('udp4', (query, { port, address }) => {
    asked++
    if (records !== null) socket.send(answerTo(query, records), port, address)
  }).bind(0, '127.0.0.1')
  await once(socket, 'listening')
  onTestFinished(() => void socket.close())
  return { at: `127.0.0.1:${socket.address().port}`, asked: () => asked }
}

/** RFC 1035 §4.1: the question comes back, each record names it by a pointer. A server that knows none says that there is no such name. */
function answerTo(query: Buffer, records: readonly (readonly string[])[]): Buffer {
  const endOfName = query.indexOf(0, 12)
  const question = query.subarray(12, endOfName + 5)
  const header = Buffer.from(query.subarray(0, 12))
  header.writeUInt16BE(records.length === 0 ? 0x8183 : 0x8180, 2)
  for (const [at, count] of [1, records.length, 0, 0].entries()) header.writeUInt16BE(count, 4 + 2 * at)
  const answers = records.map((parts) => {
    const data = Buffer.concat(parts.map((part) => Buffer.concat([Buffer.of(part.length), Buffer.from(part)])))
    const head = Buffer.from('c00c00100001000000000000', 'hex')
    head.writeUInt16BE(data.length, 10)
    return Buffer.concat([head, data])
  })
  return Buffer.concat([header, question, ...answers])
}

test('a name’s records are read, each joined of its parts', async () => {
  const { at } = await nameServer([['v=spf1 -all'], ['maristan-sso=', 'abc']])
  expect(await txtRecords('_maristan-sso.hospital.example', [at])).toEqual(['v=spf1 -all', 'maristan-sso=abc'])
})

test('a name that nobody knows has none', async () => {
  const { at } = await nameServer([])
  expect(await txtRecords('_maristan-sso.hospital.example', [at])).toEqual([])
})

test('a server that says nothing is given up, and not asked again and again', async () => {
  const { at, asked } = await nameServer(null)
  expect(await txtRecords('_maristan-sso.hospital.example', [at], 100)).toEqual([])
  expect(asked()).toBe(1)
})
