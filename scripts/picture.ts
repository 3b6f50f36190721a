/**
 * Draws infra/modules.svg from the modules' manifests, or with `--check` says that it is not what they would draw.
 * Every module stands on those it needs; a manifest is all it knows.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { drawHouse } from '../src/app.ts'
import { planes } from '../src/kernel/scope.ts'
import { permissions, roles } from '../src/modules/access/contract.ts'
import type { AnyModule } from '../src/platform/module.ts'

const path = join(import.meta.dirname, '../infra/modules.svg')

const margin = 40
const card = { width: 300, gap: 40, perRow: 3, padding: 18 }
const width = 2 * margin + card.perRow * card.width + (card.perRow - 1) * card.gap
const rowGap = 56
const line = { summary: 18, chip: 22 }
const fonts = {
  text: "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif",
  code: "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace",
}
const ink = { strong: '#16302b', soft: '#4c655f', faint: '#7c928c', paper: '#fbfaf6', card: '#ffffff', edge: '#d5ddd6', arrow: '#9db5aa' }
/** One hue a storey, from the ground up. */
const hues = ['#1f7a63', '#2f6fa3', '#8a5a9e', '#b0703a', '#a34b5c']

const escaped = (text: string) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)

/** Breaks text at blanks into lines of at most `most` characters. */
function wrapped(text: string, most: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= most) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

interface TextStyle {
  readonly size: number
  readonly fill: string
  readonly weight?: number
  readonly font?: string
  readonly anchor?: 'start' | 'middle' | 'end'
}

function text(x: number, y: number, said: string, { size, fill, weight = 400, font = fonts.text, anchor = 'start' }: TextStyle): string {
  return `<text x="${x}" y="${y}" font-family="${font}" font-size="${size}" font-weight="${weight}" fill="${fill}" text-anchor="${anchor}">${escaped(said)}</text>`
}

const box = (x: number, y: number, wide: number, high: number, radius: number, rest: string) =>
  `<rect x="${x}" y="${y}" width="${wide}" height="${high}" rx="${radius}" ${rest}/>`

/** How many storeys lie below a module: none for one that needs nobody. */
function storeys(modules: readonly AnyModule[]): AnyModule[][] {
  const byName = new Map(modules.map((module) => [module.name, module]))
  const level = (module: AnyModule): number => Math.max(0, ...module.needs.map((name) => level(byName.get(name)!) + 1))
  const rows: AnyModule[][] = []
  for (const module of modules) (rows[level(module)] ??= []).push(module)
  return rows
}

/** Names as chips, in as many lines as they take. A name of the code font is about 6.7 units a character wide. */
function chipLines(names: readonly string[]): { name: string; x: number; wide: number }[][] {
  const lines: { name: string; x: number; wide: number }[][] = []
  let x = Number.POSITIVE_INFINITY
  for (const name of names) {
    const wide = Math.round(name.length * 6.7 + 14)
    if (x + wide > card.width - 2 * card.padding) {
      lines.push([])
      x = 0
    }
    lines.at(-1)!.push({ name, x, wide })
    x += wide + 6
  }
  return lines
}

function counted(module: AnyModule): string {
  const parts = [[module.permissions, 'permission'], [module.events, 'event'], [module.jobs, 'job'], [module.handles, 'handler']] as const
  const said = parts.filter(([list]) => list.length > 0).map(([list, name]) => `${list.length} ${name}${list.length === 1 ? '' : 's'}`)
  return [...said, ...(module.wire ? ['can move out'] : [])].join('  ·  ')
}

interface Card {
  readonly module: AnyModule
  readonly summary: readonly string[]
  readonly chips: ReturnType<typeof chipLines>
  readonly high: number
}

function cardOf(module: AnyModule): Card {
  const summary = wrapped(module.summary, 39)
  const chips = chipLines(module.owns)
  return { module, summary, chips, high: 56 + summary.length * line.summary + 14 + chips.length * line.chip + 32 }
}

function drawCard({ module, summary, chips }: Card, x: number, y: number, high: number, hue: string): string[] {
  const left = x + card.padding
  const drawn = [
    box(x, y, card.width, high, 10, `fill="${ink.card}" stroke="${ink.edge}"`),
    `<path d="M${x} ${y + 10}a10 10 0 0 1 10 -10h${card.width - 20}a10 10 0 0 1 10 10z" fill="${hue}"/>`,
    text(left, y + 38, module.name, { size: 19, fill: hue, weight: 700 }),
  ]
  let at = y + 62
  for (const one of summary) {
    drawn.push(text(left, at, one, { size: 13, fill: ink.soft }))
    at += line.summary
  }
  at += 4
  for (const chipLine of chips) {
    for (const { name, x: offset, wide } of chipLine) {
      drawn.push(box(left + offset, at - 8, wide, 18, 4, `fill="${hue}" fill-opacity="0.09"`))
      drawn.push(text(left + offset + 7, at + 5, name, { size: 11, fill: ink.strong, font: fonts.code }))
    }
    at += line.chip
  }
  drawn.push(text(left, y + high - 15, counted(module), { size: 11.5, fill: ink.faint }))
  return drawn
}

/** A whole storey of the house as a band. */
const band = (y: number, high: number, name: string, said: string, fill: string) => [
  box(margin, y, width - 2 * margin, high, 10, `fill="${fill}"`),
  text(margin + card.padding, y + high / 2 + 5, name, { size: 15, fill: '#ffffff', weight: 700 }),
  text(width - margin - card.padding, y + high / 2 + 5, said, { size: 12.5, fill: '#ffffff', anchor: 'end' }),
]

function draw(modules: readonly AnyModule[]): string {
  const cards: string[] = []
  const arrows: string[] = []
  const places = new Map<string, { x: number; top: number; bottom: number }>()
  const rows = storeys(modules)
    .map((storey, level) => ({ storey, hue: hues[level % hues.length]! }))
    .toReversed()
    .flatMap(({ storey, hue }) => {
      const lines: { storey: AnyModule[]; hue: string }[] = []
      for (let k = 0; k < storey.length; k += card.perRow) lines.push({ storey: storey.slice(k, k + card.perRow), hue })
      return lines
    })

  let y = margin + 34
  const doors = planes.map((plane) => ({ plane, wide: plane.length * 8 + 28 }))
  let doorX = (width - doors.reduce((sum, { wide }) => sum + wide + 12, -12)) / 2
  const top: string[] = [text(width / 2, margin + 8, 'one door a plane', { size: 12.5, fill: ink.faint, anchor: 'middle' })]
  for (const { plane, wide } of doors) {
    top.push(box(doorX, y - 12, wide, 26, 13, `fill="${ink.card}" stroke="${ink.strong}"`))
    top.push(text(doorX + wide / 2, y + 6, plane, { size: 13, fill: ink.strong, anchor: 'middle' }))
    doorX += wide + 12
  }
  y += 34
  top.push(...band(y, 40, 'app', 'the only place where modules meet; who is asking, and on which plane', ink.strong))
  y += 40 + 30

  for (const { storey, hue } of rows) {
    const drawn = storey.map(cardOf)
    const high = Math.max(...drawn.map((one) => one.high))
    const span = storey.length * card.width + (storey.length - 1) * card.gap
    for (const [k, one] of drawn.entries()) {
      const x = (width - span) / 2 + k * (card.width + card.gap)
      places.set(one.module.name, { x: x + card.width / 2, top: y, bottom: y + high })
      cards.push(...drawCard(one, x, y, high, hue))
    }
    y += high + rowGap
  }
  for (const module of modules) {
    const from = places.get(module.name)!
    for (const [k, name] of module.needs.entries()) {
      const to = places.get(name)!
      const x = from.x + (k - (module.needs.length - 1) / 2) * 26
      const bend = (to.top - from.bottom) / 2
      const curve = `M${x} ${from.bottom}C${x} ${from.bottom + bend} ${to.x} ${to.top - bend} ${to.x} ${to.top - 7}`
      arrows.push(`<path d="${curve}" fill="none" stroke="${ink.arrow}" stroke-width="2" marker-end="url(#tip)"/>`)
    }
  }

  y += 30 - rowGap
  const ground = [
    ...band(y, 40, 'access', `${roles.length} roles, ${permissions.length} permissions: pure code that every module may ask`, '#3d5a52'),
    ...band(y + 48, 40, 'platform', 'database and its walls, keys, GraphQL, HTTP, outbox, jobs; knows no module', '#2c463f'),
    ...band(y + 96, 40, 'kernel', 'ids, faults, scope, events, clock, locale; imports nothing of ours', ink.strong),
    text(margin, y + 160, 'An arrow: needs, through the other’s contract and nothing else. A chip: a table that nobody else touches.', {
      size: 12.5,
      fill: ink.faint,
    }),
  ]
  const high = y + 160 + margin - 12
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${high}" width="${width}" height="${high}" role="img" aria-label="The modules of Maristan and what each needs">`,
    `<defs><marker id="tip" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="5" markerHeight="5" orient="auto"><path d="M0 0L8 4L0 8z" fill="${ink.arrow}"/></marker></defs>`,
    box(0, 0, width, high, 14, `fill="${ink.paper}"`),
    ...top,
    ...arrows,
    ...cards,
    ...ground,
    '</svg>',
    '',
  ].join('\n')
}

const drawn = draw(drawHouse().modules)
const isCurrent = (() => {
  try {
    return readFileSync(path, 'utf8') === drawn
  } catch {
    return false
  }
})()
if (process.argv.includes('--check') && !isCurrent) {
  console.error('infra/modules.svg is not what the manifests say. Draw it anew: node scripts/picture.ts')
  process.exit(1)
}
if (!isCurrent) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, drawn)
}
console.log(isCurrent ? 'The picture is as the manifests say.' : 'Drawn: infra/modules.svg.')
process.exit(0)
