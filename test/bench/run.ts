/**
 * `npm run bench -- <name> [--json]`: runs one benchmark and prints its report. A benchmark is a folder of this directory with a
 * `bench.ts`. What it measures is a ratio of two sides in one interleaved run, never a time on its own; it cannot fail on time.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { machine } from './kit/machine.ts'
import type { Bench } from './kit/report.ts'

const names = readdirSync(import.meta.dirname).filter((name) => existsSync(join(import.meta.dirname, name, 'bench.ts')))
const { values, positionals } = parseArgs({ options: { json: { type: 'boolean', default: false } }, allowPositionals: true, strict: false })
const [name] = positionals
if (name === undefined || positionals.length > 1 || !names.includes(name)) {
  console.error(`Usage: npm run bench -- <name> [--json], where <name> is one of: ${names.join(', ')}.`)
  process.exit(2)
}

const { bench } = (await import(`./${name}/bench.ts`)) as { bench: Bench }
const measured = await bench((sentence) => console.error(sentence))
const report = { name, ...measured, machine: machine() }
if (values['json']) console.log(JSON.stringify(report, null, 2))
else {
  for (const [key, ratio] of Object.entries(report.ratio)) console.log(`${key.padEnd(40)} ${ratio.toFixed(2)}`)
  for (const [key, value] of Object.entries(report.ours)) console.log(`${`ours ${key}`.padEnd(40)} ${JSON.stringify(value)}`)
}
