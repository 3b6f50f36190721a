import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { createLog } from './log.ts'
import { gathered } from './log-lines.ts'

const kept = () => {
  const writes: string[] = []
  const log = createLog({ level: 'debug', destination: gathered({ write: (text) => void writes.push(text) }) })
  const eventsOf = (text: string) => text.trimEnd().split('\n').map((line) => (JSON.parse(line) as { event: string }).event)
  return { writes, log, eventsOf }
}

test('lines of one moment are written together, in their order', async () => {
  const { writes, log, eventsOf } = kept()
  for (const event of ['test.one', 'test.two', 'test.three'] as const) log.info(event)
  expect(writes).toEqual([])
  await expect.poll(() => writes.length).toBe(1)
  expect(eventsOf(writes[0]!)).toEqual(['test.one', 'test.two', 'test.three'])
})

test.each(['warn', 'error'] as const)('%s waits for nothing and takes along what came before it', (level) => {
  const { writes, log, eventsOf } = kept()
  log.info('test.before')
  log[level]('test.now')
  expect(writes.map(eventsOf)).toEqual([['test.before', 'test.now']])
})

test('what waits is bounded', () => {
  const { writes, log } = kept()
  for (let k = 0; k < 1_000; k++) log.info('test.many', { requestId: 'x'.repeat(100) })
  expect(writes.length).toBeGreaterThan(0)
  expect(writes.every((text) => text.length < 66_000)).toBe(true)
})

test.each(['process.exit(3)', "throw new Error('unexpected')", 'undefined'])('nothing is lost where the process ends by %s', (end) => {
  const script = `const { createLog } = await import('./src/platform/http/log.ts')
    const log = createLog({ level: 'info' })
    for (let k = 0; k < 500; k++) log.info('test.line', { count: k })
    ${end}`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  expect(stdout.trimEnd().split('\n').map((line) => (JSON.parse(line) as { count: number }).count)).toEqual(Array.from({ length: 500 }, (_, k) => k))
})

test('however many logs a process has, its exit is minded once', () => {
  gathered({ write() {} })
  const before = process.listenerCount('exit')
  for (let k = 0; k < 20; k++) gathered({ write() {} }).write('{"level":"info"}\n')
  expect(process.listenerCount('exit')).toBe(before)
})
