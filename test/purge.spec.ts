/** The keys of slots that went elsewhere: all of them go, nobody waits long for it, and replicas hear of it. */
import assert from 'node:assert/strict'
import { slotOf } from '../lib/base/slot.ts'
import { SlotPurge } from '../lib/purge.ts'
import { InProcess } from './support/inprocess.ts'

const KEYS = 20_000
const LOST = slotOf(Buffer.from('{lost}'))

describe('the keys of a slot that was lost', () => {
  let inner: InProcess
  let purge: SlotPurge
  const left = (): number => inner.server.keyspace.databases[0]!.countInSlot(LOST)

  beforeEach(() => {
    inner = new InProcess()
    purge = new SlotPurge(inner.server)
    const client = inner.connect()
    client.call('SET', 'kept', '1')
    client.call('MSET', ...Array.from({ length: KEYS }, (_, i) => [`{lost}${i}`, 'v']).flat())
  })

  it('are deleted in slices, and by DEL on replicas too', () => {
    const replicated = inner.replicated()
    purge.add([LOST])
    let slices = 0
    for (; left() > 0; slices++) purge.slice()
    assert.ok(slices > 2, `${slices} slices`)
    assert.equal(inner.server.keyspace.size, 1)
    inner.server.endTurn()
    assert.equal(replicated().filter((text) => text.startsWith('DEL {lost}')).length, KEYS)
  })

  it('are deleted at once when somebody cannot wait', () => {
    purge.add([LOST])
    purge.slice()
    assert.ok(left() > 0)
    purge.finish()
    assert.equal(left(), 0)
  })

  it('stay when all data is about to be replaced', () => {
    purge.add([LOST])
    purge.forget()
    purge.finish()
    assert.equal(left(), KEYS)
  })

  it('that are past their deadline do not hold it up while the data has to stand still', () => {
    inner.connect().call('PEXPIRE', '{lost}7', '1')
    purge.add([LOST])
    inner.server.keyspace.now = (inner.server.keyspace.now + 1000) as typeof inner.server.keyspace.now
    inner.server.keyspace.expiry = 'hide'
    purge.finish()
    assert.equal(left(), 1)
  })
})
