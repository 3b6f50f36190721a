/** What a command says: progress and sentences for a person, one JSON document for a machine. Progress goes to stderr. */
import { text } from 'node:stream/consumers'
import ora, { type Ora } from 'ora'
import { Fault } from '../kernel/fault.ts'
import { complaint } from './complaint.ts'

export class Terminal {
  readonly #json: () => boolean
  #spinner: Ora | null = null

  constructor(json: () => boolean) {
    this.#json = json
  }

  /** What long work is at. On a terminal only, and never with --json. */
  progress = (what: string): void => {
    if (this.#json() || !process.stderr.isTTY) return
    this.#spinner ??= ora({ stream: process.stderr }).start()
    this.#spinner.text = what
  }

  /** What is typed, or comes by a pipe, until its end: a secret on a command line would be everybody's to see. */
  typed = (): Promise<string> => text(process.stdin)

  /** The command's result: the document itself, or `text` for a person. */
  done(document: object, text: string): void {
    this.#spinner?.stop()
    console.log(this.#json() ? JSON.stringify(document, null, 2) : text)
  }

  fail(error: unknown): void {
    this.#spinner?.stop()
    const message = complaint(error)
    if (!this.#json()) console.error(message)
    else this.#refusal(error instanceof Fault ? error.code : 'FAILED', message)
  }

  /** A command line that is none. Whoever reads sentences has had one from the parser. */
  misused(message: string): void {
    if (this.#json()) this.#refusal('USAGE', message)
  }

  #refusal(code: string, message: string): void {
    console.log(JSON.stringify({ error: { code, message } }, null, 2))
  }
}

/** Rows as aligned columns. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) row.forEach((cell, k) => (widths[k] = Math.max(widths[k] ?? 0, [...cell].length)))
  return rows.map((row) => row.map((cell, k) => cell + ' '.repeat(widths[k]! - [...cell].length)).join('  ').trimEnd()).join('\n')
}
