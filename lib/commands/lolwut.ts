/** LOLWUT: a piece of computer art, and the version. VERSION 5 is Georg Nees' Schotter: rows of squares that fall into disorder. */
import { NOT_INTEGER } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import { REDIS_VERSION } from '../server/version.ts'
import { integerWithin } from './args.ts'
import type { Command } from './define.ts'

export const lolwut: Command = {
  name: 'lolwut',
  arity: -1,
  flags: ['readonly', 'fast'],
  group: 'server',
  since: '5.0.0',
  summary: 'Display some computer art and the Redis version',
  arguments: [{ name: 'version', type: 'integer', token: 'VERSION', optional: true }],
  run({ server, reply }, argv) {
    const versions = `Rookery ver. ${server.version}, Redis ver. ${REDIS_VERSION}\n`
    const version = argv.count > 2 && argv.word(1) === 'version' ? argv.integer(2) : undefined
    if (version !== 5) return reply.verbatim(versions)
    const columns = clamped(argv, 3, 66, 1000)
    const art = schotter(columns, clamped(argv, 4, 8, 200), clamped(argv, 5, 12, 200), () => server.random.float())
    reply.verbatim(`${art}\nGeorg Nees - schotter, plotter on paper, 1968. ${versions}`)
  },
}

const LONG = 2n ** 63n

/** An optional number, moved into 1 to `most`. */
function clamped(argv: Argv, i: number, otherwise: number, most: number): number {
  if (i >= argv.count) return otherwise
  return Math.min(most, Math.max(1, Number(integerWithin(argv, i, -LONG, LONG - 1n, NOT_INTEGER.text.slice(4)))))
}

/** Dots of a terminal: two by four to a character. */
interface Canvas {
  readonly width: number
  readonly height: number
  readonly dots: Uint8Array
}

const DISORDER_FROM = 2

function schotter(columns: number, perRow: number, perColumn: number, float: () => number): string {
  const width = columns * 2
  const padding = width > 4 ? 2 : 0
  const side = (width - padding * 2) / perRow
  const height = Math.floor(side * perColumn) + padding * 2
  const canvas: Canvas = { width, height, dots: new Uint8Array(width * height) }
  for (let row = 0; row < perColumn; row++)
    for (let column = 0; column < perRow; column++) {
      // The further down, the further from where it belongs.
      const disorder = row < DISORDER_FROM ? 0 : row / perColumn
      const stray = (): number => (float() * 2 - 1) * disorder
      const x = Math.floor(column * side + side / 2 + padding)
      const y = Math.floor(row * side + side / 2 + padding)
      const [angle, dx, dy] = [stray(), (stray() * side) / 3, (stray() * side) / 3]
      drawSquare(canvas, Math.trunc(x + dx), Math.trunc(y + dy), side, angle)
    }
  return braille(canvas)
}

function drawSquare(canvas: Canvas, x: number, y: number, side: number, angle: number): void {
  const radius = Math.round(side / Math.SQRT2)
  const corners = [0, 1, 2, 3].map((i) => {
    const direction = Math.PI / 4 + angle + (i * Math.PI) / 2
    return [Math.round(Math.sin(direction) * radius + x), Math.round(Math.cos(direction) * radius + y)] as const
  })
  for (const [i, from] of corners.entries()) drawLine(canvas, from, corners[(i + 1) % 4]!)
}

/** A dot for each step along the longer axis. */
function drawLine(canvas: Canvas, [x1, y1]: readonly [number, number], [x2, y2]: readonly [number, number]): void {
  const steps = Math.max(Math.abs(x2 - x1), Math.abs(y2 - y1), 1)
  for (let i = 0; i <= steps; i++) {
    const x = Math.round(x1 + ((x2 - x1) * i) / steps)
    const y = Math.round(y1 + ((y2 - y1) * i) / steps)
    if (x >= 0 && x < canvas.width && y >= 0 && y < canvas.height) canvas.dots[y * canvas.width + x] = 1
  }
}

/** Bits of a braille character, by row and column of its dots. */
const DOT_BITS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const
const BLANK = 0x2800

function braille({ width, height, dots }: Canvas): string {
  let text = ''
  for (let y = 0; y < height; y += 4) {
    for (let x = 0; x < width; x += 2) {
      let code = BLANK
      for (const [row, bits] of DOT_BITS.entries())
        for (const [column, bit] of bits.entries())
          if (y + row < height && dots[(y + row) * width + x + column] === 1) code += bit
      text += String.fromCodePoint(code)
    }
    text += '\n'
  }
  return text
}
