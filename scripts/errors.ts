/**
 * Writes schema/errors.md, every code that a caller may meet, or with `--check` says that the file is not what the program would write.
 * A published code is never given another meaning.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { faultCodes, Fault, faultSentence } from '../src/kernel/fault.ts'
import { statusOf } from '../src/platform/http/answer.ts'
import type { RefusalCode } from '../src/platform/graphql/shape.ts'

const root = join(import.meta.dirname, '..')
const path = join(root, 'schema/errors.md')

/** What is refused before any module has a say. */
const refusals: Readonly<Record<RefusalCode, string>> & Readonly<Record<string, string>> = {
  BAD_REQUEST: '400 | The request is malformed: its framing, its Host, its JSON, its parameters or its variables.',
  BAD_TEXT: '400 | A text in the document or its variables holds NUL or half a surrogate pair.',
  GRAPHQL_PARSE_FAILED: '400 | The document is not GraphQL.',
  GRAPHQL_VALIDATION_FAILED: '400 | The document does not fit the schema of this plane.',
  INTERNAL: '500 | Something went wrong on our side. Quote the request id when you report it.',
  INTROSPECTION_DISABLED: '400 | This server does not describe its schema.',
  METHOD_NOT_ALLOWED: '405 | The address does not answer to that method.',
  OPERATION_RESOLUTION_FAILURE: '400 | The document has several operations and none of them is named.',
  QUERY_TOO_DEEP: '400 | The document or its variables are nested too deeply.',
  QUERY_TOO_EXPENSIVE: '400 | The operation costs more than one request may. Ask for less, or for shorter pages.',
  QUERY_TOO_LARGE: '400 | The document has too many bytes.',
  TOO_MANY_ALIASES: '400 | The document has too many aliases.',
  TOO_MANY_DIRECTIVES: '400 | The document has too many directives.',
  TOO_MANY_HEADERS: '431 | The request has too many headers.',
  TOO_MANY_ROOT_FIELDS: '400 | The operation has too many root fields, or more than one that checks a secret.',
  TOO_MANY_TOKENS: '400 | The document has too many tokens.',
}

/** Stands for whatever data a sentence is made of, and shows the name it was asked by. */
function placeholder(name: string): unknown {
  const get = (_: unknown, key: string | symbol) => {
    if (key === Symbol.toPrimitive) return () => `‹${name}›`
    return typeof key === 'symbol' ? undefined : placeholder(key in Array.prototype || key in Date.prototype ? name : key)
  }
  return new Proxy(() => undefined, { get, apply: () => placeholder(name) })
}

function sentenceOf(code: string): string {
  const say = faultSentence(code)
  if (typeof say !== 'function') return say ?? ''
  const said: unknown = say(placeholder('data') as never)
  // A table of sentences has none for a placeholder.
  return said === undefined ? 'Which of its rules was broken, in words.' : `${said as string}`
}

/** The published list. Imports every file that declares a fault, so that none is missing because nothing needed it yet. */
export async function errorsDocument(): Promise<string> {
  for (const file of globSync('src/**/*.ts', { cwd: root }).sort()) {
    if (file.endsWith('.test.ts') || !/= fault[<(]/.test(readFileSync(join(root, file), 'utf8'))) continue
    await import(pathToFileURL(join(root, file)).href)
  }
  const faults = [...faultCodes()].sort(([one], [other]) => (one < other ? -1 : 1)).map(([code, kind]) => {
    return `| \`${code}\` | ${kind} | ${statusOf(new Fault(kind, code, '', null))} | ${sentenceOf(code).replace(/[|<]/g, '\\$&')} |`
  })
  const early = Object.entries(refusals).map(([code, told]) => `| \`${code}\` | ${told} |`)
  return `# Errors

Written by \`node scripts/errors.ts\` from the program itself; the codes are stable, the sentences may be mended. \`‹name›\` stands for a
value.

A mutation answers an expected failure as data: a type that implements \`Fault\`, one for each kind, with its \`code\`. Everywhere else the
code is in \`errors[].extensions.code\` of a GraphQL answer, or in \`error.code\` of any other. The status is that of a request refused
as a whole; a refused field leaves the rest of the answer standing. Every answer carries \`x-request-id\`.

## Faults

| code | kind | status | what it says |
|---|---|---|---|
${faults.join('\n')}

## Refusals before an operation runs, and failures of ours

To clients that ask for \`application/json\` alone, what GraphQL itself finds wrong with a document answers 200, as its HTTP binding wants.

| code | status | what is wrong |
|---|---|---|
${early.join('\n')}
`
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === import.meta.filename) {
  const document = await errorsDocument()
  if (!process.argv.includes('--check')) writeFileSync(path, document)
  else if (readFileSync(path, 'utf8') !== document) {
    console.error('schema/errors.md is not what the program says. Write it anew: node scripts/errors.ts')
    process.exit(1)
  }
  console.log('schema/errors.md is as the program says.')
  process.exit(0)
}
