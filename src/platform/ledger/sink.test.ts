/** Sinks: they add, and neither replace nor remove; the one in S3 locks what it puts, and refuses a bucket that cannot. */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startS3, type S3Double } from '../../../test/kit/s3.ts'
import { directorySink, type Sink } from './sink.ts'
import { s3Sink } from './sink-s3.ts'

const directory = mkdtempSync(join(tmpdir(), 'maristan-sink-'))
let s3: S3Double
const sinkOf = (bucket: string, endpoint: string): Sink =>
  s3Sink({ bucket, prefix: 'audit/east', region: 'eu-central-1', endpoint, retentionYears: 6 })
const before = { id: process.env['AWS_ACCESS_KEY_ID'], secret: process.env['AWS_SECRET_ACCESS_KEY'] }

beforeAll(async () => {
  process.env['AWS_ACCESS_KEY_ID'] = 'synthetic'
  process.env['AWS_SECRET_ACCESS_KEY'] = 'synthetic'
  s3 = await startS3({ bucket: 'locked', locks: true })
})
afterEach(() => s3.fail(null))
afterAll(async () => {
  for (const [name, value] of [['AWS_ACCESS_KEY_ID', before.id], ['AWS_SECRET_ACCESS_KEY', before.secret]] as const) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  await s3.close()
  rmSync(directory, { recursive: true, force: true })
})

const ways: Record<string, () => Sink> = { 'a directory': () => directorySink(directory), 'S3': () => sinkOf('locked', s3.url) }

describe.each(Object.keys(ways))('a sink in %s', (way) => {
  test('gives back in order what was put, and only below the name asked for', async () => {
    const sink = ways[way]!()
    for (const day of ['03', '01', '02']) await sink.put(`checkpoints/${day}/a.jsonl`, `day ${day}`)
    await sink.put('keys/one.json', 'key')
    const found: string[] = []
    for await (const { name, text } of sink.list('checkpoints')) found.push(`${name} ${await text()}`)
    expect(found).toEqual(['01', '02', '03'].map((day) => `checkpoints/${day}/a.jsonl day ${day}`))
    const nothing: string[] = []
    for await (const { name } of sink.list('nothing')) nothing.push(name)
    expect(nothing).toEqual([])
  })

  test('never replaces; what may be there already is left as it is', async () => {
    const sink = ways[way]!()
    await sink.put('checkpoints/09/once.jsonl', 'first')
    await expect(sink.put('checkpoints/09/once.jsonl', 'second')).rejects.toThrow()
    await sink.putOnce('checkpoints/09/once.jsonl', 'third')
    for await (const { text } of sink.list('checkpoints/09')) expect(await text()).toBe('first')
    for (const name of ['../x', 'a/../../x', '/x', '', 'a b']) await expect(sink.put(name, ''), name).rejects.toThrow(RangeError)
  })
})

test('files are their owner’s alone', async () => {
  await directorySink(directory).put('checkpoints/10/a.jsonl', '')
  expect(statSync(join(directory, 'checkpoints/10/a.jsonl')).mode & 0o777).toBe(0o600)
  expect(statSync(join(directory, 'checkpoints/10')).mode & 0o777).toBe(0o700)
})

test('in S3 every object is locked for six years, against everybody', async () => {
  await sinkOf('locked', s3.url).put('checkpoints/11/a.jsonl', 'x')
  const { mode, until } = s3.objects.get('audit/east/checkpoints/11/a.jsonl')!
  expect(mode).toBe('COMPLIANCE')
  expect(until.getUTCFullYear()).toBe(new Date().getUTCFullYear() + 6)
})

test('a bucket without object lock, one that is not there and a service that fails are refused; the next try stands', async () => {
  const open = await startS3({ bucket: 'open', locks: false })
  await expect(sinkOf('open', open.url).put('a', 'x')).rejects.toThrow('has no object lock')
  expect(open.objects.size).toBe(0)
  await open.close()
  await expect(sinkOf('absent', s3.url).put('a', 'x')).rejects.toThrow()
  const sink = sinkOf('locked', s3.url)
  s3.fail(503)
  await expect(sink.put('checkpoints/12/a.jsonl', 'x')).rejects.toThrow()
  s3.fail(null)
  await sink.put('checkpoints/12/a.jsonl', 'x')
  expect(s3.objects.get('audit/east/checkpoints/12/a.jsonl')?.body).toBe('x')
})
