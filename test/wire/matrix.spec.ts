/** The matrix of mixed clusters: what happens between nodes of both kinds, one row for each way in which the kinds can be dealt out.
 *
 *  Rows that other specs observe, and that are not run again here:
 *
 *  | what                                          | kinds                                  | where                            |
 *  |-----------------------------------------------|----------------------------------------|----------------------------------|
 *  | automatic, manual, FORCE and TAKEOVER         | ours everywhere                        | failover, manual-failover        |
 *  | automatic and manual                          | ours / redis-server, voters of both    | mixed, failover, manual-failover |
 *  | automatic, vote by vote in the logs           | redis-server, ours, voters redis-server| fast-failover                    |
 *  | MEET                                          | either introduces the other            | mixed                            |
 *  | PUBLISH; SPUBLISH up and down a shard         | from either to both                    | mixed                            |
 *  | reshard, with every type of value             | both ways                              | mixed, tools                     |
 *  | start on the nodes.conf of the other kind     | both ways                              | mixed, rows-upgrade              |
 *  | a failover that keeps every write of a client | both ways                              | manual-failover, rows-upgrade    |
 *  | new addresses, ports and announcements        | seen by both                           | rows-address                     |
 *  | partitions                                    | both on the cut-off side               | rows-network                     |
 *  | a whole shard lost and brought back           | both                                   | failover                         |
 *  | FORGET told to one node; del-node             | ours; both                             | rows-forget                      |
 *  | three config epochs that collide              | both                                   | rows-bus                         |
 *  | what keeps a spare replica from moving        | both                                   | replica-migration                |
 *  | every verb of redis-cli --cluster             | both                                   | tools, create                    |
 *
 *  ROOKERY_TEST_KINDS=redis runs the same rows on real servers alone. */
import { startNodes } from '../support/cluster.ts'
import type { Kind } from '../support/process.ts'
import { scenarios } from '../support/suite.ts'
import { sideBySide, type Track, track } from '../support/tracks.ts'
import { collides } from './matrix/collision.ts'
import { forgotten, migrates, named, startCommunity } from './matrix/community.ts'
import { duels, exchanged, startDuel } from './matrix/failover.ts'
import { losses } from './matrix/slot-loss.ts'
import { NAMES, T } from './matrix/terms.ts'

scenarios('the matrix', ['mixed'], ([one, other = one]) => {
  const [ours, theirs] = [one!, other!]
  const duel = (voter: Kind, kind: Kind): Track =>
    track(
      () => startDuel(kind, voter, voter),
      [...duels(kind, voter, voter), exchanged(voter, kind), ...duels(kind, kind, voter), ...losses(voter)],
    )
  sideBySide({
    [`failover and slot loss with voters of ${NAMES[ours]}`]: duel(ours, theirs),
    [`failover and slot loss with voters of ${NAMES[theirs]}`]: duel(theirs, ours),
    'one cluster of both kinds': track(
      () => startCommunity(ours, theirs),
      [named(ours), named(theirs), migrates(theirs, ours), migrates(ours, theirs), forgotten(ours), forgotten(theirs)],
    ),
    'two claim the same slots under the same config epoch': track(
      () => startNodes({ kinds: [ours, theirs], nodeTimeoutMs: T }, 2),
      [collides(ours, theirs), collides(theirs, ours)],
    ),
  })
})
