import { expect, it } from 'vitest'
import { isSecureOnly, originOf } from './parts.ts'

const at = (publicUrl: string | null, host = '127.0.0.1', trustedProxies: string[] = []) =>
  ({ publicUrl, host, port: 4000, trustedProxies })

it('leaves the Secure mark off only where this machine alone reaches us by plain http', () => {
  for (const open of [at(null), at(null, '::1'), at(null, 'localhost'), at('http://cedar.localhost:4000'), at('http://[::1]:4000')]) {
    expect(isSecureOnly(open)).toBe(false)
  }
  const secure = [
    at(null, '0.0.0.0'),
    at(null, '10.0.0.1'),
    at(null, '127.0.0.1', ['127.0.0.1']),
    at('https://care.example'),
    at('http://care.example'),
    at('https://localhost'),
  ]
  for (const one of secure) expect(isSecureOnly(one)).toBe(true)
})

it('makes the tenant’s address of the configuration', () => {
  expect(originOf('cedar', at(null))).toBe('http://cedar.localhost:4000')
  expect(originOf('cedar', at('https://care.example/'))).toBe('https://cedar.care.example')
  expect(originOf('cedar', at('https://care.example:8443'))).toBe('https://cedar.care.example:8443')
})
