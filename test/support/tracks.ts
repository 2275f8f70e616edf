/** Rows of tests that wait most of their time - for a node timeout, a vote, a link - run side by side: the rows of one track follow each
 *  other on one stage, several tracks run at once, and each row is reported as a test of its own. */

/** One test: its title and what it does with the stage as the rows before it have left it. */
export interface Row<Stage> {
  readonly title: string
  run(stage: Stage): Promise<void>
}

export interface Track {
  readonly titles: readonly string[]
  /** Sets the stage and runs the rows, beginning now. */
  begin(): Running
}

interface Running {
  readonly stage: Promise<unknown>
  /** What became of each row. */
  readonly outcomes: readonly Promise<void>[]
}

/** A track of rows. After a failed row the next ones are tried all the same. */
export function track<Stage>(setStage: () => Promise<Stage>, rows: readonly Row<Stage>[]): Track {
  return {
    titles: rows.map(({ title }) => title),
    begin() {
      const stage = setStage()
      let last: Promise<unknown> = stage
      const outcomes = rows.map(({ run }) => {
        const outcome = last.catch(() => {}).then(async () => run(await stage))
        // It is looked at in its turn, which may be long after.
        outcome.catch(() => {})
        last = outcome
        return outcome
      })
      return { stage, outcomes }
    },
  }
}

/** Declares a suite of each track, with a test of each row; the tracks begin together. */
export function sideBySide(tracks: Readonly<Record<string, Track>>): void {
  const running = new Map<string, Running>()
  before(() => {
    for (const [name, one] of Object.entries(tracks)) running.set(name, one.begin())
  })
  for (const [name, { titles }] of Object.entries(tracks))
    describe(name, () => {
      before(() => running.get(name)!.stage)
      for (const [i, title] of titles.entries()) it(title, () => running.get(name)!.outcomes[i]!)
    })
}
