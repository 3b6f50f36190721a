/**
 * The wire: carries any contract over HTTP, one POST a call, so that a module can live in another process. Mounted nowhere
 * unless the composition says so. It never repeats a call, and TLS between machines is the proxy's in front of it.
 */
import { z } from 'zod'
import {
  AbsentFault,
  ConflictFault,
  DeniedFault,
  Fault,
  fault,
  faultCodes,
  faultKinds,
  InvalidFault,
  LimitedFault,
  notFound,
  overloaded,
  UnavailableFault,
} from '../kernel/fault.ts'
import type { Caller, Scope } from '../kernel/scope.ts'
import { parseInput, type ContractOf, type Methods } from './contract.ts'
import { answerJson, statusOf } from './http/answer.ts'
import { defaultBodyBytes, readBody } from './http/body.ts'
import type { Log } from './http/log.ts'
import type { Route } from './http/router.ts'
import { createScopeSigner, createScopeVerifier, wireRefused, type WireTrust } from './wire-scope.ts'

export const wireFailed = fault<{ requestId: string }>(
  'unavailable',
  'WIRE_FAILED',
  ({ requestId }) => `A part of the server did not answer. Try again, and quote ${requestId} when you report it.`,
)

const faultClassOf = {
  absent: AbsentFault,
  denied: DeniedFault,
  conflict: ConflictFault,
  invalid: InvalidFault,
  limited: LimitedFault,
  unavailable: UnavailableFault,
}
const envelope = z.union([
  z.strictObject({ output: z.json() }),
  // The server's own refusal, before the wire was reached.
  z.object({ error: z.object({ code: z.literal(overloaded.code) }) }),
  z.strictObject({
    fault: z.strictObject({
      kind: z.enum(faultKinds),
      code: z.string().max(48),
      message: z.string().max(4_000),
      data: z.json().optional(),
    }),
  }),
])

/** The longest answer that is read, in bytes. */
const maxAnswerBytes = 8 * 1024 * 1024

export interface ServeOptions<Table extends Methods> extends WireTrust {
  /** The module's name; calls come to `/wire/<name>/<method>`. */
  readonly name: string
  readonly methods: Table
  readonly contract: ContractOf<Table>
  readonly log: Log
  /**
   * Opens this side's own unit of work for the caller, runs `work` in it and closes it: what was recorded is committed when
   * it resolves. `signal` aborts when the other side has gone.
   */
  openScope<T>(caller: Caller, work: (scope: Scope) => Promise<T>, signal: AbortSignal): Promise<T>
}

/** One route for all methods of a contract. @throws when the secret is short. */
export function serveContract<Table extends Methods>(options: ServeOptions<Table>): Route {
  const { name, methods, contract, log, openScope } = options
  const verify = createScopeVerifier(options)
  const prefix = `/wire/${name}/`

  async function answer(method: string, token: string, body: Buffer, signal: AbortSignal): Promise<unknown> {
    const caller = await verify(token, `${name}.${method}`, body)
    const shape = Object.hasOwn(methods, method) ? methods[method] : undefined
    if (!shape) throw notFound()
    const output = await openScope(caller, (scope) => contract[method]!(scope, readInput(body) as never), signal)
    // Through JSON by the method's own shape: what it does not name does not leave.
    return z.encode(shape.output, output as never)
  }

  return {
    method: 'POST',
    path: `/wire/${name}/*`,
    name: `wire.${name}`,
    async handle(request, response, { path, requestId, signal }) {
      const token = /^Bearer +(\S+)$/.exec(request.headers.authorization ?? '')?.[1]
      if (token === undefined) throw wireRefused()
      const body = await readBody(request, defaultBodyBytes)
      try {
        answerJson(response, 200, { output: await answer(path.slice(prefix.length), token, body, signal) })
      } catch (error) {
        const known = error instanceof Fault ? error : wireFailed({ requestId })
        if (known !== error) log.error('wire.failed', { module: name, requestId, error })
        const { kind, code, message, data } = known
        answerJson(response, statusOf(known), { fault: { kind, code, message, ...(data === undefined ? {} : { data }) } })
      }
    },
  }
}

function readInput(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    // The body is signed: the other side sent what is no JSON.
    throw wireRefused()
  }
}

export interface ConnectOptions<Table extends Methods> extends WireTrust {
  readonly name: string
  readonly methods: Table
  /** Where the other side listens, without a path: `http://127.0.0.1:4100`. */
  readonly url: string
  /** The longest a call may take, in milliseconds. */
  readonly timeoutMs: number
}

/**
 * A contract whose methods are answered by another process. A call is sent once: one that failed on the way may have been carried
 * out. Faults arrive as the faults they were; whatever else went wrong is WIRE_FAILED.
 */
export function connectContract<Table extends Methods>(options: ConnectOptions<Table>): ContractOf<Table> {
  const { name, methods, url, timeoutMs } = options
  const sign = createScopeSigner(options)
  const contract: Record<string, unknown> = {}
  for (const [method, shape] of Object.entries(methods)) {
    const address = new URL(`/wire/${name}/${method}`, url)
    contract[method] = async (scope: Scope, input: unknown) => {
      parseInput(shape.input, input)
      const body = JSON.stringify(input)
      const failed = () => wireFailed({ requestId: scope.requestId })
      let answer: z.output<typeof envelope>
      try {
        const response = await fetch(address, {
          method: 'POST',
          headers: {
            authorization: `Bearer ${await sign(scope, `${name}.${method}`, body)}`,
            'content-type': 'application/json',
            'x-request-id': scope.requestId,
          },
          body,
          redirect: 'error',
          signal: AbortSignal.timeout(timeoutMs),
        })
        answer = envelope.parse(JSON.parse(await readBounded(response)))
      } catch {
        throw failed()
      }
      if ('error' in answer) throw overloaded()
      if ('fault' in answer) throw faultFrom(answer.fault) ?? failed()
      const output = shape.output.safeParse(answer.output)
      if (!output.success) throw failed()
      return output.data
    }
  }
  return Object.freeze(contract) as ContractOf<Table>
}

/** The fault that was thrown over there; null when this side knows no such fault, or when the wire itself was refused. */
function faultFrom({ kind, code, message, data }: { kind: Fault['kind']; code: string; message: string; data?: unknown }): Fault | null {
  return faultCodes().get(code) === kind && code !== wireRefused.code ? new faultClassOf[kind](kind, code, message, data) : null
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > maxAnswerBytes) throw new Error('The answer is too long.')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
