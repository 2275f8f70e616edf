/** CLUSTER WHY: the explanations agree with the rules, and the history names causes. */
import assert from 'node:assert/strict'
import { runElection } from '../../bus/election.ts'
import { createWorld, type World } from '../../bus/sim/world.ts'
import type { Cluster, ClusterNode } from '../../bus/state.ts'
import { step } from '../../bus/step.ts'
import { setReplicaOf } from '../../bus/table.ts'
import { explain, explainHistory } from '../../bus/why.ts'
import type { Epoch, Millis, Offset } from '../../lib/base/brand.ts'
import { addReplica, addRow, type Facts, makeCluster, messageFrom, NOW, ownSlots } from './hand-made.ts'

/** The lines about one question. */
function lines(c: Cluster, about: string): readonly string[] {
  const found = explain(c).find((explanation) => explanation.about === about)
  assert(found, `nothing about ${about}`)
  return found.lines
}

const says = (c: Cluster, about: string, line: RegExp): void =>
  assert(
    lines(c, about).some((text) => line.test(text)),
    `${about}: no ${line} in\n${lines(c, about).join('\n')}`,
  )

/** We are a replica of `p` (slots 0-99); `u` and `v` own 100-299. */
function scene(health: ClusterNode['health']): { c: Cluster; primary: ClusterNode; voters: ClusterNode[] } {
  const c = makeCluster()
  const primary = addRow(c, 'p', { health, failedAt: NOW, configEpoch: 4 as Epoch })
  const voters = ['u', 'v'].map((letter) => addRow(c, letter))
  setReplicaOf(c, c.myself, primary)
  for (const [i, node] of [primary, ...voters].entries()) ownSlots(c, node, i * 100, i * 100 + 99)
  return { c, primary, voters }
}

describe('why the state is fail', () => {
  it('names the slots that are not served, and who should', () => {
    const { c } = scene('fail')
    says(c, 'state', /^fail, for 0\.0 s$/)
    says(c, 'state', /^slots 0-99: their owner 10\.0\.0\.1:7001 \(pppppppp\) is FAIL$/)
    says(c, 'state', /^slots 300-16383: nobody owns them$/)
    says(c, 'state', /^cluster-require-full-coverage is yes: the others are not served either$/)
  })

  it('counts the voters that can be reached, and names those that cannot, with their silence', () => {
    const { c, primary, voters } = scene('fail')
    Object.assign(voters[0]!, { health: 'pfail', dataReceivedAt: NOW })
    primary.dataReceivedAt = NOW
    c.now = (NOW + 2500) as Millis
    says(c, 'state', /^no majority: 1 of 3 voters can be reached, 2 are needed$/)
    says(c, 'state', /^cannot reach 10\.0\.0\.1:7002 \(uuuuuuuu\): last heard of 2\.5 s ago$/)
  })

  it('says how long a primary still waits after its start, and after a minority', () => {
    const c = makeCluster()
    ownSlots(c, c.myself, 0, 16383)
    c.firstCheckAt = NOW
    c.now = (NOW + 500) as Millis
    says(c, 'state', /^just started: a primary takes no requests for another 1500 ms$/)
    c.firstCheckAt = 1 as Millis
    c.minorityAt = NOW
    says(c, 'state', /^was in a minority: stays away for another 1500 ms/)
  })
})

describe('why no replica was promoted', () => {
  it('a suspicion is not enough: so many voters agree, and these', () => {
    const { c, primary, voters } = scene('pfail')
    primary.failureReports = new Map([[voters[0]!, NOW]])
    says(c, 'failing nodes', /^\S+ \(pppppppp\) is PFAIL .*: 1 of the 2 voters needed agree: \S+ \(uuuuuuuu\)$/)
    says(c, 'failover', /^no election: our primary \S+ \(pppppppp\) is not FAIL$/)
  })

  it('our data is too old, and by how much', () => {
    const { c } = scene('fail')
    ;(c.facts as Facts).primaryLastSeenAt = (NOW - 60_000) as Millis
    says(c, 'failover', /too old, 58\.0 s where 30\.0 s are allowed \(cluster-replica-validity-factor 10\)$/)
  })

  it('the rank, and when our turn comes', () => {
    const { c, primary } = scene('fail')
    addReplica(c, 'a', primary, { offset: 900 as Offset, offsetAt: NOW })
    runElection(c)
    says(c, 'failover', /^the election begins in 1000 ms: rank #1 \(1 better replicas go first\)$/)
  })

  it('the votes that came, and those that did not', () => {
    const { c, voters } = scene('fail')
    runElection(c)
    const message = messageFrom(voters[0]!, { type: 'auth-ack' }, { currentEpoch: c.election.epoch })
    step(c, { type: 'message', link: voters[0]!.outbound!.id, message }, c.now)
    says(c, 'failover', /: 1 of the 2 votes needed came in epoch 1: \S+ \(uuuuuuuu\); no vote: .*\(vvvvvvvv\)$/)
    says(c, 'votes', /Z we asked for votes in epoch 1$/)
    says(c, 'votes', /Z \S+ \(uuuuuuuu\) voted for us in epoch 1$/)
  })

  it('a voter says whom it refused, and why', () => {
    const c = makeCluster()
    ownSlots(c, c.myself, 0, 99)
    const replica = addReplica(c, 'r', addRow(c, 'p'))
    const message = messageFrom(replica, { type: 'auth-req' }, { currentEpoch: 5 as Epoch })
    step(c, { type: 'message', link: replica.outbound!.id, message }, NOW)
    says(c, 'votes', /we did not vote for \S+ \(rrrrrrrr\) in epoch 5: its master is up$/)
  })

  it('a manual failover waits for an offset, or would be refused', () => {
    const { c } = scene('ok')
    says(c, 'manual failover', /^CLUSTER FAILOVER would be accepted$/)
    Object.assign(c.manual, { endsAt: NOW + 4000, targetOffset: 700 })
    says(c, 'manual failover', /^waits for offset 700, we are at 0; gives up in 4000 ms$/)
    const alone = makeCluster()
    says(alone, 'manual failover', /would answer: ERR You should send CLUSTER FAILOVER to a replica$/)
  })
})

describe('the history of the topology', () => {
  const heirOf = (w: World, i: number): Cluster => w.cluster(3 + i)

  function afterFailover(): World {
    const w = createWorld({ seed: 1, nodes: 6 })
    w.form(3)
    w.crash(0)
    w.until(() => heirOf(w, 0).myself.role === 'primary' && w.hasConverged(), 10_000)
    return w
  }
  const tells = (c: Cluster, line: RegExp): void => {
    const history = explainHistory(c)
    assert(
      history.some((text) => line.test(text)),
      `no ${line} in\n${history.join('\n')}`,
    )
  }

  it('tells a failover from every side', () => {
    const w = afterFailover()
    tells(
      heirOf(w, 0),
      /Z we took the place of \S+ \(\w{8}\) in epoch \d+: it had failed, elected: \S+.*, \S+ \(\w{8}\)$/,
    )
    for (const i of [1, 2, 3])
      tells(w.cluster(i), /FAIL: (a majority reports it: .*|\S+ \(\w{8}\) saw a majority report it)$/)
    tells(w.cluster(1), /5462 slots from 0 on went from .* to .* in epoch \d+: the new owner claims them/)
    tells(w.cluster(1), /\(\w{8}\) is a primary: it says so$/)
    w.restart(0)
    w.until(() => w.hasConverged(), 10_000)
    tells(w.cluster(0), /Z we replicate \S+ \(\w{8}\): it took our last slot/)
  })

  it('tells what operators did', () => {
    const w = createWorld({ seed: 2, nodes: 4 })
    w.form(3)
    const [a, b] = [w.cluster(0).myself.id, w.cluster(3).myself.id]
    tells(w.cluster(3), new RegExp(`we replicate \\S+ \\(${a.slice(0, 8)}\\): an operator said so$`))
    tells(w.cluster(1), /joined: (after a handshake|\S+ \(\w{8}\) mentioned it)$/)
    w.operate(1, { name: 'forget', id: b })
    tells(w.cluster(1), new RegExp(`${b.slice(0, 8)} forgotten: an operator said so$`))
  })

  it('tells slots that move one after the other as one change, and keeps only the last changes', () => {
    const c = makeCluster()
    ownSlots(c, c.myself, 0, 999)
    const other = addRow(c, 'a')
    const give = (slot: number): void =>
      void step(c, { type: 'operator', operation: { name: 'setslot', slot, action: 'node', id: other.id } }, NOW)
    for (let s = 0; s < 10; s++) give(s)
    assert.equal(explainHistory(c).length, 1)
    assert.match(
      explainHistory(c)[0]!,
      /10 slots from 0 on went from us \(m{8}\) to \S+ \(a{8}\).*: an operator said so$/,
    )
    for (let s = 20; s < 500; s += 2) give(s)
    assert.equal(explainHistory(c).length, 128)
    assert.match(explainHistory(c, 1)[0]!, /slot 498 went/)
  })
})
