/** Requests a second against a growing quantity, as SVG: one panel a quantity, logarithmic to the right. */
export interface Series {
  readonly title: string
  readonly lines: readonly { readonly name: string; readonly points: readonly (readonly [number, number])[] }[]
}

const width = 280
const height = 220
const margin = 48
const colours = ['#1b6ca8', '#c0532b']

const round = (value: number): number => Math.round(value * 10) / 10

function panel({ title, lines }: Series, offset: number): string {
  const points = lines.flatMap((line) => line.points)
  const [least, most] = [Math.min(...points.map(([x]) => x)), Math.max(...points.map(([x]) => x))]
  const top = Math.max(...points.map(([, y]) => y)) * 1.1
  const across = (x: number) => offset + margin + (Math.log(x / least) / Math.log(most / least || Math.E)) * (width - margin - 16)
  const down = (y: number) => height - margin - (y / top) * (height - margin - 32)
  const parts = [
    `<text x="${offset + width / 2}" y="18" text-anchor="middle" font-weight="bold">${title}</text>`,
    `<path d="M${offset + margin} 28V${height - margin}H${offset + width - 8}" fill="none" stroke="#888"/>`,
    `<text x="${offset + margin - 6}" y="${round(down(top / 1.1)) + 4}" text-anchor="end">${Math.round(top / 1.1)}/s</text>`,
    `<text x="${offset + margin - 6}" y="${height - margin}" text-anchor="end">0</text>`,
  ]
  for (const [x] of lines[0]!.points) {
    parts.push(`<text x="${round(across(x))}" y="${height - margin + 16}" text-anchor="middle">${x.toLocaleString('en')}</text>`)
  }
  for (const [k, line] of lines.entries()) {
    const way = line.points.map(([x, y], at) => `${at === 0 ? 'M' : 'L'}${round(across(x))} ${round(down(y))}`).join('')
    parts.push(`<path d="${way}" fill="none" stroke="${colours[k]}" stroke-width="2"/>`)
    parts.push(`<text x="${offset + margin + 8 + k * 70}" y="${height - 10}" fill="${colours[k]}">${line.name}</text>`)
  }
  return parts.join('\n')
}

export function plotSvg(series: readonly Series[]): string {
  const whole = `width="${width * series.length}" height="${height}" viewBox="0 0 ${width * series.length} ${height}"`
  const panels = series.map((one, k) => panel(one, k * width)).join('\n')
  return `<svg xmlns="http://www.w3.org/2000/svg" ${whole} font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="#fff"/>\n${panels}\n</svg>\n`
}
