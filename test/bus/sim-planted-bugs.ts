/** Planted bugs: realistic faults in the rules, each a change of one place of the compiled core. The code itself has no
 *  switch for any of them: a loader hook makes the change while the file is read, and insists that the place is there
 *  exactly once, so that this table cannot rot. */

import type { Plan } from '../../bus/sim/plan.ts'
import {
  FOREIGN_DATA,
  FORGOTTEN_HEIR,
  LOST_IMPORT,
  OLD_STORY,
  SHORT_REIGN,
  STALE_REPORT,
  VOTER_WITHOUT_SLOTS,
} from './sim-plans.ts'

export interface PlantedBug {
  readonly name: string
  /** A file of the core, compiled. */
  readonly file: string
  readonly find: string
  readonly replace: string
  /** The first seed to try. Where it is not 1 the bug is seldom seen, and earlier seeds would only take time. */
  readonly from?: number
  /** Instead of seeds: the faults that bring the bug to light, which random plans draw once in thousands. */
  readonly plan?: Plan
}

/** Seeds that are tried for each bug. */
export const SEED_BUDGET = 150

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: 'a voter votes twice in an epoch',
    file: 'election.js',
    find: 'if (c.lastVoteEpoch === c.currentEpoch)',
    replace: 'if (false)',
    from: 9,
  },
  {
    name: 'a vote is not synced to disk before it leaves',
    file: 'election.js',
    find: "c.lastVoteEpoch = c.currentEpoch;\n    needSave(c, 'fsync');",
    replace: "c.lastVoteEpoch = c.currentEpoch;\n    needSave(c, 'save');",
    from: 3,
  },
  {
    name: 'the epoch of a request for votes is not synced to disk',
    file: 'election.js',
    find: "needSave(c, 'fsync');\n    c.stateDirty = true;\n",
    replace: 'c.stateDirty = true;\n',
    from: 3,
  },
  {
    name: 'the last vote is forgotten over a restart',
    file: 'nodes-conf.js',
    find: "c.lastVoteEpoch = epoch(read('lastVoteEpoch'));",
    replace: 'c.lastVoteEpoch = epoch(0);',
    from: 13,
  },
  {
    name: 'a nodes.conf that was cut short is read',
    file: 'nodes-conf.js',
    find: 'const rest = lines.pop();',
    replace: "const rest = '';",
    from: 24,
  },
  {
    name: 'half of the voters are taken for a majority',
    file: 'state.js',
    find: 'Math.floor(c.size / 2) + 1',
    replace: 'Math.ceil(c.size / 2)',
  },
  {
    name: 'a replica is promoted without waiting for votes',
    file: 'election.js',
    find: 'return votes >= votesNeeded(c)',
    replace: 'return votes >= 0',
    from: 3,
  },
  {
    name: 'a promotion does not raise the config epoch',
    file: 'election.js',
    find: 'c.myself.configEpoch = c.election.epoch;',
    replace: '',
    from: 3,
  },
  {
    name: 'a claim of slots with an old epoch is accepted',
    file: 'ownership.js',
    find: 'owner.configEpoch >= epoch ? same & c.unclaimed[i] : same',
    replace: 'same',
    from: 3,
  },
  {
    name: 'who lost all slots does not follow their new owner',
    file: 'ownership.js',
    find: 'ours?.slotCount === 0 && mayFollow',
    replace: 'false',
    from: 3,
  },
  {
    name: 'two primaries keep the same config epoch',
    file: 'epoch.js',
    find: 'if (sender.configEpoch !== myself.configEpoch || sender.id <= myself.id)',
    replace: 'if (true)',
    from: 53,
  },
  {
    name: 'the epoch of the cluster is not learned from others',
    file: 'epoch.js',
    find: 'if (header.currentEpoch > c.currentEpoch)',
    replace: 'if (false)',
    from: 35,
  },
  {
    name: 'a forgotten node is let in again at once',
    file: 'handshake.js',
    find: 'return c.blacklist.has(id);',
    replace: 'return false;',
    from: 3,
  },
  {
    name: 'reports of a failure count for ever',
    file: 'failure.js',
    find: 'if (c.now - at > VALIDITY_TIMEOUTS * c.options.nodeTimeoutMs)',
    replace: 'if (false)',
    plan: STALE_REPORT,
  },
  {
    name: 'one suspicion is enough for FAIL',
    file: 'failure.js',
    find: '(isVoter(c.myself) ? 1 : 0) < quorum(c)',
    replace: '(isVoter(c.myself) ? 1 : 0) < 1',
  },
  {
    name: 'FAIL is never taken back',
    file: 'failure.js',
    find: "if (node.health === 'ok')\n        return;",
    replace: "if (node.health !== 'pfail')\n        return;",
  },
  {
    name: 'a manual failover does not wait for the offset of the primary',
    file: 'manual-failover.js',
    find: 'manual.targetOffset !== c.facts.replicationOffset',
    replace: 'false',
    from: 13,
  },
  {
    name: 'a primary goes on writing during a manual failover',
    file: 'manual-failover.js',
    find: "c.effects.push({ type: 'pause-writes', until: (c.now + PAUSE_MS) });",
    replace: '',
    from: 11,
  },
  {
    name: 'a primary in a minority goes on taking writes',
    file: 'health.js',
    find: 'c.size - unreachableVoters(c).length >= quorum(c)',
    replace: 'true',
    from: 6,
  },
  {
    name: 'a primary that starts again takes writes at once',
    file: 'health.js',
    find: 'c.firstCheckAt + WRITABLE_DELAY_MS - c.now',
    replace: '0',
    from: 273,
  },
  {
    name: 'news of a new owner by way of others is ignored',
    file: 'ownership.js',
    find: 'if (node.configEpoch >= epoch && !isUntold)\n        return;',
    replace: 'return;',
    from: 331,
  },
  {
    name: 'of a node whose epoch is known its slots are never believed',
    file: 'ownership.js',
    find: 'node.configEpoch >= epoch && !isUntold',
    replace: 'node.configEpoch >= epoch',
    plan: FORGOTTEN_HEIR,
  },
  {
    name: 'a replica with data of another shard may be elected',
    file: 'election.js',
    find: 'isDataForeign(c) ? 0 : c.facts.primaryLastSeenAt',
    replace: 'c.facts.primaryLastSeenAt',
    plan: FOREIGN_DATA,
  },
  {
    name: 'what a new primary said as a replica is believed when it comes late',
    file: 'receive.js',
    find: 'isOvertaken(c, sender, header)',
    replace: 'false',
    plan: SHORT_REIGN,
  },
  {
    name: 'a candidate tells of a failure of long ago',
    file: 'election.js',
    find: 'primary && hasJustFailed(c, primary)',
    replace: "primary?.health === 'fail'",
    plan: OLD_STORY,
  },
  {
    name: "a voter whose slots seem to be nobody's makes the majority smaller",
    file: 'election.js',
    find: 'Math.max(quorum(c), c.election.majority)',
    replace: 'quorum(c)',
    plan: VOTER_WITHOUT_SLOTS,
  },
  {
    name: 'nobody is reminded of the slot that it lost with its power',
    file: 'receive.js',
    find: 'remindOfClaims(c, sender, header);',
    replace: '',
    plan: LOST_IMPORT,
  },
]
