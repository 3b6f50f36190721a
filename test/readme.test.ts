/** The README is true: its walk runs word for word against a fresh server, and its picture is what the manifests draw. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildProgram } from '../src/operator/commands.ts'
import { readConfig } from '../src/platform/config.ts'
import { freePort, root, startServer, temporaryDirectory, type ServerProcess } from './kit/server.ts'

interface Step {
  readonly command: string
  /** What the README shows; `…` stands for anything. */
  readonly shown: string
}

const readme = readFileSync(join(root, 'README.md'), 'utf8')

function stepsOf(markdown: string): Step[] {
  const steps: { command: string; shown: string }[] = []
  for (const [, block] of markdown.matchAll(/^```console\n(.*?)^```$/gms)) {
    for (const line of block!.trimEnd().split('\n')) {
      const last = steps.at(-1)
      if (line.startsWith('$ ')) steps.push({ command: line.slice(2), shown: '' })
      else if (line.startsWith('> ') || line === '>') last!.command += `\n${line.slice(2)}`
      else last!.shown += `${line}\n`
    }
  }
  return steps
}

const matches = (said: string, shown: string): boolean =>
  new RegExp(`^${shown.trim().split('…').map(RegExp.escape).join('.*')}$`, 's').test(said.trim())

/** One shell for the whole walk, as the reader's: what a step defines, the next one has. */
class Shell {
  readonly #process: ChildProcess
  #said = ''

  constructor(directory: string) {
    this.#process = spawn('bash', ['--noprofile', '--norc'], {
      cwd: directory,
      env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    for (const stream of [this.#process.stdout!, this.#process.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#said += text
        this.#process.emit('said')
      })
    }
  }

  async run(command: string): Promise<string> {
    this.#said = ''
    const mark = '\u0003end of step\u0003'
    this.#process.stdin!.write(`${command}\necho '${mark}'\n`)
    while (!this.#said.includes(mark)) await once(this.#process, 'said')
    return this.#said.split(mark)[0]!
  }

  async end(): Promise<void> {
    const ended = once(this.#process, 'exit')
    this.#process.stdin!.end()
    await ended
  }
}

const place = temporaryDirectory()
let server: ServerProcess
beforeAll(async () => {
  server = startServer({ PORT: String(await freePort()), DATA_DIR: place.dataDir })
  await server.ready()
})
afterAll(async () => {
  await server.end('SIGTERM')
  place.remove()
})

test('every step of the walk answers what the README shows', { timeout: 60_000 }, async () => {
  const steps = stepsOf(readme)
  expect(steps.filter(({ shown }) => shown !== '').length).toBeGreaterThanOrEqual(7)
  const shell = new Shell(place.parent)
  try {
    for (const { command, shown } of steps) {
      const said = await shell.run(command)
      if (!matches(said, shown)) expect.fail(`${command}\n\nthe README shows\n${shown}\nbut it said\n${said}`)
    }
  } finally {
    await shell.end()
  }
})

test('a wildcard stands for anything, and nothing else does', () => {
  expect(matches('{"at":"2030","x":1}\n', '{"at":"…","x":1}')).toBe(true)
  for (const said of ['{"at":"2030","x":2}', '{"at":"2030","x":1} more', '']) expect(matches(said, '{"at":"…","x":1}')).toBe(false)
  expect(matches('axb', 'a.b')).toBe(false)
})

test('every variable that the server reads is in the README, and no other', () => {
  const table = readme.slice(readme.indexOf('## Environment'), readme.indexOf('## Files it writes'))
  const named = new Set([...table.matchAll(/`([A-Z][A-Z_]{3,})`/g)].map(([, name]) => name!))
  const asked = new Set<string>()
  const source = readFileSync(join(root, 'src/platform/config.ts'), 'utf8')
  for (const [, name] of source.slice(0, source.indexOf('export interface Config')).matchAll(/^ {2}([A-Z][A-Z_]+):/gm)) asked.add(name!)
  expect(asked.size).toBeGreaterThan(10)
  expect([...named].sort()).toEqual([...asked].sort())
  expect(readConfig({}).port).toBe(4000)
})

test('the picture of the modules is what their manifests draw', async () => {
  const child = spawn(process.execPath, ['scripts/picture.ts', '--check'], { cwd: root, stdio: 'ignore' })
  expect((await once(child, 'exit'))[0]).toBe(0)
})

/** Commands by their whole name; a group is one where it does something itself (`backup`), which shows by its options. */
const commandsBelow = (command: Command, above = ''): [string, Command][] =>
  command.commands.flatMap((one): [string, Command][] => {
    const name = `${above}${one.name()}`
    const acts = one.commands.length === 0 || one.options.some(({ long }) => long !== '--json')
    return [...(acts ? [[name, one] as [string, Command]] : []), ...commandsBelow(one, `${name} `)]
  })

test('every command is in the README, no other, and with no option that it has not', () => {
  const commands = new Map(commandsBelow(buildProgram().program))
  expect(commands.size).toBeGreaterThan(50)
  const table = readme.slice(readme.indexOf('## Command line'), readme.indexOf('## Environment'))
  const named = new Set<string>()
  for (const [, cell] of table.matchAll(/^\| (`.*?`) \| /gm)) {
    for (const [, said] of cell!.matchAll(/`([^`]+)`/g)) {
      const name = [...commands.keys()].filter((one) => said === one || said!.startsWith(`${one} `)).sort((one, other) => other.length - one.length)[0]
      if (name === undefined) expect.fail(`${said} is no command`)
      named.add(name)
      const has = commands.get(name)!.options.map(({ long }) => long)
      expect([...said!.matchAll(/--[a-z-]+/g)].map(([option]) => option).filter((option) => !has.includes(option)), said).toEqual([])
    }
  }
  expect([...named].sort()).toEqual([...commands.keys()].sort())
})
