import { expect, test } from 'vitest'
import { z } from 'zod'
import { event } from '../../kernel/event.ts'
import { defineModule, type AnyModule } from '../module.ts'
import { assertDeclared, unhandledEvents } from './declared.ts'

const made = event('ward.bed.made', z.object({}))
const lost = event('ward.bed.lost', z.object({}))
const module = (name: string, events: (typeof made | typeof lost)[], handled: string[] = []): AnyModule =>
  defineModule({
    name,
    summary: '',
    needs: [],
    owns: [],
    events,
    handles: handled.map((one) => ({ event: one, handle: async () => {} })),
    build: () => ({ contract: {} }),
  }) as unknown as AnyModule

test('every event has one module and does not speak for another module, and a handler handles what is declared', () => {
  expect(() => assertDeclared([module('ward', [made, lost]), module('kitchen', [], ['ward.bed.made'])])).not.toThrow()
  expect(() => assertDeclared([module('ward', [made, made])])).toThrow('Event ward.bed.made is declared twice.')
  expect(() => assertDeclared([module('ward', []), module('kitchen', [made])])).toThrow("of module kitchen begins with another module's name")
  expect(() => assertDeclared([module('kitchen', [made])])).not.toThrow()
  const misspelt = [module('ward', [made]), module('kitchen', [], ['ward.bed.mad'])]
  expect(() => assertDeclared(misspelt)).toThrow('Module kitchen handles ward.bed.mad')
})

test('what is declared and not handled is known', () => {
  expect(unhandledEvents([module('ward', [made, lost]), module('kitchen', [], ['ward.bed.made'])])).toEqual(['ward.bed.lost'])
})
