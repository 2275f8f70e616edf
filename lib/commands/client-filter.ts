/** Which clients CLIENT LIST shows and CLIENT KILL closes. */
import { parseInteger } from '../base/bytes.ts'
import { fail, SYNTAX } from '../errors.ts'
import type { Argv } from '../resp/argv.ts'
import type { Call } from '../server/call.ts'
import type { Client } from '../server/client.ts'
import type { Server } from '../server/server.ts'

type Test = (client: Client) => boolean

/** TYPE of CLIENT LIST and KILL: every client is of exactly one. A monitor is a normal client. */
const TYPES: ReadonlyMap<string, Test> = new Map<string, Test>([
  ['normal', (client) => !client.primary && !client.replica && !client.subscriber],
  ['master', (client) => client.primary],
  ['replica', (client) => client.replica],
  ['slave', (client) => client.replica],
  ['pubsub', (client) => client.subscriber && !client.primary && !client.replica],
])

function typeTest(argv: Argv, i: number): Test {
  const test = TYPES.get(argv.word(i))
  if (test === undefined) throw fail(`Unknown client type '${argv.text(i)}'`)
  return test
}

function addressTest(argv: Argv, i: number): Test {
  const address = argv.text(i)
  return (client) => client.address === address
}

/** CLIENT LIST [TYPE type | ID id ...]. Throws for anything else. */
export function listedClients(server: Server, argv: Argv): Client[] {
  const all = [...server.clients.values()]
  if (argv.count === 2) return all
  const option = argv.word(2)
  if (option === 'type' && argv.count === 4) return all.filter(typeTest(argv, 3))
  if (option !== 'id' || argv.count < 4) throw SYNTAX
  const found: Client[] = []
  for (let i = 3; i < argv.count; i++) {
    const id = parseInteger(argv.at(i))
    if (id === undefined) throw fail('Invalid client ID')
    const client = server.clients.get(id)
    if (client !== undefined) found.push(client)
  }
  return found
}

interface Filter {
  /** By option: one given twice counts as given last. */
  readonly tests: Map<string, Test>
  /** Spare the connection that asks. */
  skipMe: boolean
}

type Option = (argv: Argv, i: number, server: Server) => Test

/** One row for each option of CLIENT KILL that tests a client; `i` is the argument after its name. */
const OPTIONS: ReadonlyMap<string, Option> = new Map<string, Option>(
  Object.entries<Option>({
    id(argv, i) {
      const id = parseInteger(argv.at(i))
      if (id === undefined || id < 1) throw fail('client-id should be greater than 0')
      return (client) => client.id === id
    },
    type: typeTest,
    addr: addressTest,
    laddr(argv, i) {
      const address = argv.text(i)
      return (client) => client.localAddress === address
    },
    user(argv, i, server) {
      const user = server.acl.user(argv.text(i))
      if (user === undefined) throw fail(`No such user '${argv.text(i)}'`)
      return (client) => client.user === user
    },
  }),
)

function readFilter(argv: Argv, server: Server): Filter {
  const filter: Filter = { tests: new Map(), skipMe: true }
  for (let i = 2; i < argv.count; i += 2) {
    const name = argv.word(i)
    if (i + 1 >= argv.count) throw SYNTAX
    if (name === 'skipme') {
      const word = argv.word(i + 1)
      if (word !== 'yes' && word !== 'no') throw SYNTAX
      filter.skipMe = word === 'yes'
      continue
    }
    const option = OPTIONS.get(name)
    if (option === undefined) throw SYNTAX
    filter.tests.set(name, option(argv, i + 1, server))
  }
  return filter
}

/** CLIENT KILL <address>, and CLIENT KILL <option> <value> .... */
export function killClients({ server, client, reply }: Call, argv: Argv): void {
  const isOldForm = argv.count === 3
  const { tests, skipMe } = isOldForm
    ? { tests: new Map([['addr', addressTest(argv, 2)]]), skipMe: false }
    : readFilter(argv, server)
  const matches = (one: Client): boolean => [...tests.values()].every((test) => test(one))
  let killed = 0
  for (const one of [...server.clients.values()]) {
    if ((one === client && skipMe) || !matches(one)) continue
    killed++
    // The one who asks still gets its answer.
    if (one === client) client.closing = true
    else server.disconnect(one)
  }
  if (!isOldForm) reply.integer(killed)
  else if (killed > 0) reply.ok()
  else throw fail('No such client')
}
