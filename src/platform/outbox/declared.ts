/** Which events exist: what modules declare, and what they say they handle. */
import type { AnyModule } from '../module.ts'

/**
 * @throws naming every event that is declared twice or under another module's name, and every handler of an event that no
 * module declares.
 */
export function assertDeclared(modules: readonly AnyModule[]): void {
  const declared = new Set<string>()
  const wrong: string[] = []
  const names = new Set(modules.map(({ name }) => name))
  for (const { name, events } of modules) {
    for (const event of events) {
      if (declared.has(event.name)) wrong.push(`Event ${event.name} is declared twice.`)
      // A subject that is no module (`access` is code only) may be spoken of by the module that stores it.
      const [subject] = event.name.split('.')
      if (subject !== name && names.has(subject!)) wrong.push(`Event ${event.name} of module ${name} begins with another module's name.`)
      declared.add(event.name)
    }
  }
  for (const { name, handles } of modules) {
    for (const { event } of handles) {
      if (!declared.has(event)) wrong.push(`Module ${name} handles ${event}, which no module declares.`)
    }
  }
  if (wrong.length > 0) throw new Error(wrong.join(' '))
}

/** Declared events that no module handles. An event outside both lists is a mistake, and is parked where it shows. */
export function unhandledEvents(modules: readonly AnyModule[]): string[] {
  const handled = new Set(modules.flatMap((module) => module.handles.map((one) => one.event)))
  return modules.flatMap((module) => module.events.map((one) => one.name)).filter((name) => !handled.has(name))
}
