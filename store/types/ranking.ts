/** The order of a sorted set for scored members that come in none. */
import { ascending } from '../../lib/base/order.ts'
import type { Members } from './members.ts'

/** The places of the scored members of a table by their scores and, where those are equal, by their bytes. */
export function ranking(members: Members): Uint32Array {
  const scores = new Float64Array(members.size)
  for (let place = 0; place < scores.length; place++) scores[place] = members.score(place)
  const order = ascending(scores)
  for (let from = 0, to = 0; from < order.length; from = to) {
    const score = scores[order[from]!]
    while (to < order.length && scores[order[to]!] === score) to++
    if (to - from > 1) order.subarray(from, to).sort((a, b) => members.compare(a, members.key(b)))
  }
  return order
}
