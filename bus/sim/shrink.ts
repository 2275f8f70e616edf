/** Shrinking: of all faults of a plan that breaks a rule, those that are needed to break it. Delta debugging: leave out
 *  large parts first, then smaller ones, until no single fault can be missed. */
import { keepOnly, type Plan } from './plan.ts'

/** The numbers of faults that suffice. `fails` says whether a plan still breaks the rule; the whole one must. */
export function shrink(plan: Plan, fails: (smaller: Plan) => boolean): number[] {
  let kept = plan.faults.map((_, i) => i)
  for (let parts = 2; kept.length > 0; ) {
    const smaller = leaveOneOut(kept, parts).find((numbers) => fails(keepOnly(plan, numbers)))
    if (smaller) {
      kept = smaller
      parts = Math.max(2, parts - 1)
    } else if (parts >= kept.length) break
    else parts = Math.min(kept.length, parts * 2)
  }
  return kept
}

/** The list in so many parts, each time without one of them. */
function leaveOneOut(numbers: readonly number[], parts: number): number[][] {
  const size = Math.ceil(numbers.length / parts)
  const smaller: number[][] = []
  for (let from = 0; from < numbers.length; from += size) {
    smaller.push(numbers.filter((_, i) => i < from || i >= from + size))
  }
  return smaller
}
