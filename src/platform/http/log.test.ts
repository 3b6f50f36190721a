import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { notFound } from '../../kernel/fault.ts'
import { createLog, logKeys, type LogKey, type LogRecord } from './log.ts'
import { keptLog } from '../../../test/kit/http.ts'

const canary = 'Layla-Haddad-7731'
/** What a careless caller might do despite the types. */
type Careless = (name: string, record?: object) => void

function careless() {
  const lines: string[] = []
  const log = keptLog(lines)
  return { lines, log, write: log.error as unknown as Careless, last: () => JSON.parse(lines.at(-1)!) as Record<string, unknown> }
}

function failWith(message: string): Error {
  return new Error(message)
}

describe('the log', () => {
  test('writes every allowed key with a primitive value, one JSON line an event', () => {
    const { log, lines, last } = careless()
    for (const key of logKeys) {
      log.info('test.key', { [key]: 'value-1' } as LogRecord)
      expect(last()).toMatchObject({ level: 'info', event: 'test.key', [key]: 'value-1' })
    }
    log.warn('test.kinds', { status: 200, via: null, job: true, attempt: undefined })
    expect(last().time).toMatch(/^\d{4}-\d\d-\d\dT/)
    expect(last()).toEqual({ level: 'warn', time: expect.any(String), event: 'test.kinds', status: 200, via: null, job: true })
    expect(lines.every((line) => line.endsWith('\n') && line.indexOf('\n') === line.length - 1)).toBe(true)
  })

  test('drops whatever is not allowed, and says how much', () => {
    const { lines, write, last } = careless()
    const cyclic: { self?: object } = {}
    cyclic.self = cyclic
    const records: object[] = [
      { name: canary },
      { patient: { name: canary } },
      { requestId: { toJSON: () => canary } },
      { requestId: [canary] },
      { requestId: new String(canary) },
      { requestId: () => canary },
      { requestId: Symbol(canary) },
      { count: 7731n },
      { count: Number.NaN },
      { msg: canary },
      { err: failWith(canary) },
      { headers: { authorization: canary } },
      { [canary]: 1 },
      { code: cyclic },
      JSON.parse(`{"__proto__":"${canary}"}`) as object,
    ]
    for (const record of records) {
      write('test.drop', record)
      expect(last(), inspect(record)).toEqual({ level: 'error', time: expect.any(String), event: 'test.drop', dropped: 1 })
    }
    expect(lines.join('')).not.toContain('7731')
  })

  test('takes only fixed names: others are not even quoted', () => {
    const { lines, write, last } = careless()
    for (const name of [canary, `patient ${canary}`, '', 'A.B', 'a..b', 'a.b.c.d', 'x'.repeat(33), 'a\nb', '%s', 'http.request {}']) {
      write(name, {})
      expect(last().event, name).toBe('log.misnamed')
    }
    expect(lines.join('')).not.toContain(canary)
    const log = createLog({ level: 'silent' })
    const variable: string = canary
    // @ts-expect-error A name that is only known at run time.
    log.info(variable)
    // @ts-expect-error A name with a variable in it.
    log.info(`patient.${variable}` as const)
    // @ts-expect-error A key that is not on the list.
    log.info('test.key', { patientName: canary })
  })

  test('caps text and removes what could forge or disguise a line', () => {
    const { write, last } = careless()
    write('test.text', { code: 'x'.repeat(10_000) })
    expect(last().code).toBe('x'.repeat(200))
    write('test.text', { code: 'a\n{"level":"info"}\r\t\0\u001b[31m\u007f\u0085\u202e\u2066\u2028\u2029\ufeff\ud800b' })
    expect(last().code).toBe('a{"level":"info"}[31mb')
  })

  test('reduces an error to its name, code and our lines: never its words', () => {
    const { lines, write, last } = careless()
    const shaped = Object.assign(new RangeError(canary), { code: '23505', detail: canary, cause: new Error(canary) })
    write('test.error', { error: shaped })
    expect(last()).toMatchObject({ errorName: 'RangeError', errorCode: '23505' })
    expect(last().errorStack).toMatch(/^src\/platform\/http\/log\.test\.ts:\d+/)

    const nested = `x\n    at ${canary} (file:///${canary}/src/${canary}.ts:1:1)`
    const renamed = Object.assign(failWith('quiet'), { name: `${canary} x`, code: canary })
    const rewritten = failWith(canary)
    rewritten.message = 'changed'
    const stackless = Object.assign(failWith(canary), { stack: canary })
    for (const error of [failWith(nested), renamed, rewritten, stackless, failWith(''), new AggregateError([failWith(canary)], canary)]) {
      write('test.error', { error })
      expect(last().errorName).toMatch(/^(Error|AggregateError)$/)
      expect(last()).not.toHaveProperty('errorMessage')
    }
    for (const error of [canary, { message: canary }, null, 7731]) {
      write('test.error', { error })
      expect(last()).toEqual({ level: 'error', time: expect.any(String), event: 'test.error', errorName: 'NotAnError' })
    }
    expect(lines.join('')).not.toContain('7731')
  })

  test('keeps the sentence of a fault, which is written for callers', () => {
    const { write, last } = careless()
    write('test.fault', { error: notFound() })
    expect(last()).toMatchObject({ errorName: 'Fault', errorCode: 'NOT_FOUND', errorMessage: expect.stringContaining('no such record') })
  })

  test('below its level nothing is written', () => {
    const lines: string[] = []
    const log = createLog({ level: 'warn', destination: { write: (line: string) => void lines.push(line) } })
    log.debug('test.level')
    log.info('test.level')
    log.warn('test.level', { code: 'seen' satisfies string } satisfies Partial<Record<LogKey, string>>)
    expect(lines).toHaveLength(1)
  })
})
