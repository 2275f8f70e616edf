/** A curve in text: a few rows of characters, one column for each sample, its label written downwards below. */

export interface Sample {
  readonly value: number
  readonly label: string
}

/** From low to high within a row; a full column is a bar. */
const HEIGHTS = ['_', 'o', '#'] as const

/** Lines of `columns` samples each, `rows` high, every line followed by its labels. */
export function sparkline(samples: readonly Sample[], columns: number, rows: number): string {
  const values = samples.map(({ value }) => value)
  const least = Math.min(...values)
  const range = Math.max(...values) - least || 1
  const steps = rows * HEIGHTS.length
  const blocks: string[] = []
  for (let from = 0; from < samples.length; from += columns) {
    const part = samples.slice(from, from + columns)
    const heights = part.map(({ value }) => Math.min(steps - 1, Math.floor(((value - least) * steps) / range)))
    const curve = Array.from({ length: rows }, (_, row) => rowOf(heights, (rows - 1 - row) * HEIGHTS.length))
    blocks.push([...curve, ...labelsOf(part)].map((line) => `${line}\n`).join(''))
  }
  return blocks.join('\n')
}

const rowOf = (heights: readonly number[], floor: number): string =>
  heights.map((height) => (height < floor ? ' ' : (HEIGHTS[height - floor] ?? '|'))).join('')

/** An empty line, then the labels. */
function labelsOf(samples: readonly Sample[]): string[] {
  const longest = Math.max(...samples.map(({ label }) => label.length))
  const line = (i: number): string => samples.map(({ label }) => label[i] ?? ' ').join('')
  return [' '.repeat(samples.length), ...Array.from({ length: longest }, (_, i) => line(i))]
}
