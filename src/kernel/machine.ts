/** The one engine of every state machine: a table of moves is the machine. It refuses a move that the table does not list. */
import { fault } from './fault.ts'

export const invalidTransition = fault<{ state: string; event: string }>(
  'conflict',
  'INVALID_TRANSITION',
  ({ state, event }) => `This cannot be done now: ${event} is not possible in the state ${state}. Read the record again.`,
)

/** One line of the table: in `from` (any of them), `event` leads to `to`; `by` names who may cause it, for the reader and the tests. */
export interface Move<State extends string = string, Event extends string = string, By extends string = string> {
  readonly from: State | readonly State[]
  readonly event: Event
  readonly to: State
  readonly by?: By
}

export interface Machine<State extends string, Event extends string> {
  readonly initial: State
  /** Every state the table names, the initial one first. */
  readonly states: readonly State[]
  readonly events: readonly Event[]
  /**
   * The state that follows.
   * @throws INVALID_TRANSITION when the table has no such move, also for a state or event it has never heard of.
   */
  next(state: State, event: Event): State
  /** True when {@link next} would answer. */
  can(state: State, event: Event): boolean
}

/**
 * Builds a machine from its table.
 * @throws when two moves contradict each other or a state cannot be reached: a wrong table must not start.
 */
export function machine<const State extends string, const Event extends string>(table: {
  readonly initial: NoInfer<State>
  readonly moves: readonly Move<State, Event>[]
}): Machine<State, Event> {
  const targets = new Map<string, State>()
  const states = new Set<State>([table.initial])
  const events = new Set<Event>()
  for (const { from, event, to } of table.moves) {
    events.add(event)
    for (const state of sources(from)) {
      states.add(state).add(to)
      const cell = cellKey(state, event)
      if (targets.has(cell)) throw new Error(`Two moves leave ${state} by ${event}.`)
      targets.set(cell, to)
    }
  }
  const machineStates = [...states]
  const machineEvents = [...events]
  const lost = machineStates.find((state) => !reachable(table.initial, machineEvents, targets).has(state))
  if (lost !== undefined) throw new Error(`No move leads from ${table.initial} to ${lost}.`)
  return {
    initial: table.initial,
    states: machineStates,
    events: machineEvents,
    can: (state, event) => targets.has(cellKey(state, event)),
    next(state, event) {
      const to = targets.get(cellKey(state, event))
      if (to === undefined) throw invalidTransition({ state, event })
      return to
    },
  }
}

/** Every (state, event) cell of a machine with the state it leads to, or null where the move is refused: tests walk all of them. */
export function* cells<State extends string, Event extends string>(
  of: Machine<State, Event>,
): Generator<{ readonly state: State; readonly event: Event; readonly to: State | null }> {
  for (const state of of.states) {
    for (const event of of.events) yield { state, event, to: of.can(state, event) ? of.next(state, event) : null }
  }
}

function sources<State extends string>(from: State | readonly State[]): readonly State[] {
  return typeof from === 'string' ? [from] : from
}

// A blank cannot be part of a state's name, so two cells never share a key.
function cellKey(state: string, event: string): string {
  return `${state} ${event}`
}

function reachable<State extends string>(initial: State, events: readonly string[], targets: ReadonlyMap<string, State>): Set<State> {
  const found = new Set<State>([initial])
  for (const state of found) {
    for (const event of events) {
      const to = targets.get(cellKey(state, event))
      if (to !== undefined) found.add(to)
    }
  }
  return found
}
