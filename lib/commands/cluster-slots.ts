/** CLUSTER's subcommands about slots: whose they are, and what is in them. */

import { SLOT_COUNT } from '../base/brand.ts'
import { parseInteger } from '../base/bytes.ts'
import { slotOfRange } from '../base/slot.ts'
import { fail, wrongArity } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import type { ClusterDoor } from '../server/cluster-door.ts'
import { ADMIN, operate, RANDOM_OUTPUT, sub, VIEW } from './cluster-row.ts'
import type { ArgumentDoc, Command } from './define.ts'

const slotArgs: readonly ArgumentDoc[] = [{ name: 'slot', type: 'integer', multiple: true }]
const rangeArgs: readonly ArgumentDoc[] = [
  {
    name: 'start-slot_end-slot',
    type: 'block',
    multiple: true,
    arguments: [
      { name: 'start-slot', type: 'integer' },
      { name: 'end-slot', type: 'integer' },
    ],
  },
]
export const clusterSlotRows: readonly Command[] = [
  sub({
    name: 'addslots',
    arity: -3,
    flags: ADMIN,
    summary: 'Assign new hash slots to receiving node',
    complexity: 'O(N) where N is the total number of hash slot arguments',
    arguments: slotArgs,
    run: (door, call, argv) => operate(door, call, { name: 'addslots', slots: slotList(argv) }),
  }),
  sub({
    name: 'addslotsrange',
    arity: -4,
    flags: ADMIN,
    since: '7.0.0',
    summary: 'Assign new hash slots to receiving node',
    complexity: 'O(N) where N is the total number of the slots between the start slot and end slot arguments.',
    arguments: rangeArgs,
    run: (door, call, argv) => operate(door, call, { name: 'addslots', slots: slotRangeList(argv) }),
  }),
  sub({
    name: 'countkeysinslot',
    arity: 3,
    flags: VIEW,
    summary: 'Return the number of local keys in the specified hash slot',
    complexity: 'O(1)',
    arguments: [{ name: 'slot', type: 'integer' }],
    run(_door, call, argv) {
      const slot = argv.integer(2)
      if (slot < 0 || slot >= SLOT_COUNT) throw fail('Invalid slot')
      call.reply.integer(call.db.countInSlot(slot))
    },
  }),
  sub({
    name: 'delslots',
    arity: -3,
    flags: ADMIN,
    summary: 'Set hash slots as unbound in receiving node',
    complexity: 'O(N) where N is the total number of hash slot arguments',
    arguments: slotArgs,
    run: (door, call, argv) => operate(door, call, { name: 'delslots', slots: slotList(argv) }),
  }),
  sub({
    name: 'delslotsrange',
    arity: -4,
    flags: ADMIN,
    since: '7.0.0',
    summary: 'Set hash slots as unbound in receiving node',
    complexity: 'O(N) where N is the total number of the slots between the start slot and end slot arguments.',
    arguments: rangeArgs,
    run: (door, call, argv) => operate(door, call, { name: 'delslots', slots: slotRangeList(argv) }),
  }),
  sub({
    name: 'flushslots',
    arity: 2,
    flags: ADMIN,
    summary: "Delete a node's own slots information",
    complexity: 'O(1)',
    run: (door, call) => operate(door, call, { name: 'flushslots' }),
  }),
  sub({
    name: 'getkeysinslot',
    arity: 4,
    flags: VIEW,
    tips: RANDOM_OUTPUT,
    summary: 'Return local key names in the specified hash slot',
    complexity: 'O(log(N)) where N is the number of requested keys',
    arguments: [
      { name: 'slot', type: 'integer' },
      { name: 'count', type: 'integer' },
    ],
    run(_door, call, argv) {
      const slot = argv.integer(2)
      const count = argv.integer(3)
      if (slot < 0 || slot >= SLOT_COUNT || count < 0) throw fail('Invalid slot or number of keys')
      const names = call.db.keysInSlot(slot, count)
      call.reply.array(names.length)
      for (const name of names) call.reply.name(name)
      // MIGRATE takes them; if there are none left, SETSLOT ends the migration.
      call.server.host.expectRequest()
    },
  }),
  sub({
    name: 'keyslot',
    arity: 3,
    flags: VIEW,
    summary: 'Returns the hash slot of the specified key',
    complexity: 'O(N) where N is the number of bytes in the key',
    arguments: [{ name: 'key', type: 'string' }],
    run: (_door, call, argv) => call.reply.integer(slotOfRange(argv.buffer, argv.starts[2]!, argv.ends[2]!)),
  }),
  sub({
    name: 'setslot',
    arity: -4,
    flags: ADMIN,
    summary: 'Bind a hash slot to a specific node',
    complexity: 'O(1)',
    arguments: [
      { name: 'slot', type: 'integer' },
      {
        name: 'subcommand',
        type: 'oneof',
        arguments: [
          { name: 'node-id', type: 'string', token: 'IMPORTING' },
          { name: 'node-id', type: 'string', token: 'MIGRATING' },
          { name: 'node-id', type: 'string', token: 'NODE' },
          { name: 'stable', type: 'pure-token', token: 'STABLE' },
        ],
      },
    ],
    run: setSlot,
  }),
]

function slotArgument(argv: Argv, i: number): number {
  const slot = parseInteger(argv.buffer, argv.starts[i], argv.ends[i])
  if (slot === undefined || slot < 0 || slot >= SLOT_COUNT) throw fail('Invalid or out of range slot')
  return slot
}

function slotList(argv: Argv): number[] {
  const slots: number[] = []
  for (let i = 2; i < argv.count; i++) slots.push(slotArgument(argv, i))
  return slots
}

function slotRangeList(argv: Argv): number[] {
  if (argv.count % 2 === 1) throw wrongArity(`cluster|${argv.word(1)}`)
  const slots: number[] = []
  for (let i = 2; i < argv.count; i += 2) {
    const start = slotArgument(argv, i)
    const end = slotArgument(argv, i + 1)
    if (start > end) throw fail(`start slot number ${start} is greater than end slot number ${end}`)
    for (let slot = start; slot <= end; slot++) slots.push(slot)
  }
  return slots
}

function setSlot(door: ClusterDoor, call: Call, argv: Argv): void {
  // A real server looks at its role before it looks at the words.
  if (door.view.myself.role === 'replica') throw fail('Please use SETSLOT only with masters.')
  const slot = slotArgument(argv, 2)
  const action = argv.word(3)
  if (action === 'stable' && argv.count === 4) return operate(door, call, { name: 'setslot', slot, action })
  if (argv.count === 5 && (action === 'migrating' || action === 'importing' || action === 'node')) {
    const wasOurs = door.view.owners[slot] === door.view.myself
    operate(door, call, { name: 'setslot', slot, action, id: argv.text(4) })
    // Of a slot that leaves, the keys are asked for next, and when it has left, the next one is to leave.
    if (wasOurs) call.server.host.expectRequest()
    return
  }
  throw fail('Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP')
}
