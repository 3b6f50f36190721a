/**
 * Subscriptions: the answer now, and again after every change that shows in it. Each answer asks anew who the caller is and reads in a unit
 * of work of its own, so that a stream never outlives the right to it; its source only says "look again".
 */
import { createSourceEventStream, execute, GraphQLError, type ExecutionArgs, type ExecutionResult } from 'graphql'
import { overloaded } from '../../kernel/fault.ts'
import type { Tick } from '../watch/watchers.ts'
import type { Context } from './context.ts'

export interface LiveOptions {
  /** A fresh context for whoever sent the request. @throws what refuses them by now */
  reopen(): Promise<Context>
  /** Declares the answer a stream. False when there are too many. */
  hold(): boolean
}

type Stream = AsyncGenerator<ExecutionResult, void, void>

/** Begins a subscription. @returns its answers, or why there are none. @throws OVERLOADED */
export async function subscribeLive(args: ExecutionArgs, options: LiveOptions): Promise<Stream | ExecutionResult> {
  if (!options.hold()) throw overloaded()
  const { unit } = args.contextValue as Context
  const source = await unit.read(() => createSourceEventStream(args))
  if (!(Symbol.asyncIterator in source)) return source
  return answers(source as AsyncGenerator<Tick>, args, options)
}

async function* answers(source: AsyncGenerator<Tick>, args: ExecutionArgs, { reopen }: LiveOptions): Stream {
  let shown: string | null = null
  try {
    for await (const tick of source) {
      const context = await reopen()
      if (tick === 'check') continue
      const answer = await context.unit.read(async () => execute({ ...args, contextValue: context }))
      // A change of what the caller does not see, or did not ask for, is none: not even its moment shows.
      const text = JSON.stringify(answer)
      if (text === shown) continue
      shown = text
      yield answer
      if (isNothing(answer)) return
    }
  } catch (error) {
    yield { errors: [new GraphQLError('The subscription ended.', { originalError: error as Error })] }
  }
}

/** The root field itself is refused or gone: no later change will bring more. */
function isNothing({ data }: ExecutionResult): boolean {
  return !data || Object.values(data).every((value) => value === null)
}
