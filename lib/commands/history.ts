/** What changed in commands since they came, as COMMAND DOCS tells it. Kept beside the rows, not in them: it says nothing of what a
 *  command does today. */

/** [version, what changed], oldest first. */
export type History = readonly (readonly [string, string])[]

const CHANGES: readonly { readonly of: readonly string[]; readonly history: History }[] = [
  {
    of: ['acl|getuser'],
    history: [
      ['6.2.0', 'Added Pub/Sub channel patterns.'],
      [
        '7.0.0',
        'Added selectors and changed the format of key and channel patterns from a list to their rule representation.',
      ],
    ],
  },
  {
    of: ['acl|setuser'],
    history: [
      ['6.2.0', 'Added Pub/Sub channel patterns.'],
      ['7.0.0', 'Added selectors and key based permissions.'],
    ],
  },
  { of: ['auth'], history: [['6.0.0', 'Added ACL style (username and password).']] },
  { of: ['bgsave'], history: [['3.2.2', 'Added the `SCHEDULE` option.']] },
  { of: ['bitcount', 'bitpos'], history: [['7.0.0', 'Added the `BYTE|BIT` option.']] },
  {
    of: ['blpop', 'brpop', 'brpoplpush', 'bzpopmax', 'bzpopmin'],
    history: [['6.0.0', '`timeout` is interpreted as a double instead of an integer.']],
  },
  {
    of: ['client|kill'],
    history: [
      ['2.8.12', 'Added new filter format.'],
      ['2.8.12', '`ID` option.'],
      ['3.2.0', 'Added `master` type in for `TYPE` option.'],
      ['5.0.0', 'Replaced `slave` `TYPE` with `replica`. `slave` still supported for backward compatibility.'],
      ['6.2.0', '`LADDR` option.'],
    ],
  },
  {
    of: ['client|list'],
    history: [
      ['2.8.12', 'Added unique client `id` field.'],
      ['5.0.0', 'Added optional `TYPE` filter.'],
      ['6.0.0', 'Added `user` field.'],
      ['6.2.0', 'Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and the optional `ID` filter.'],
      ['7.0.0', 'Added `resp`, `multi-mem`, `rbs` and `rbp` fields.'],
      ['7.0.3', 'Added `ssub` field.'],
    ],
  },
  { of: ['client|pause'], history: [['6.2.0', '`CLIENT PAUSE WRITE` mode added along with the `mode` option.']] },
  { of: ['cluster|meet'], history: [['4.0.0', 'Added the optional `cluster_bus_port` argument.']] },
  {
    of: ['cluster|slots'],
    history: [
      ['4.0.0', 'Added node IDs.'],
      ['7.0.0', 'Added additional networking metadata field.'],
    ],
  },
  { of: ['command|info'], history: [['7.0.0', 'Allowed to be called with no argument to get info on all commands.']] },
  { of: ['config|get'], history: [['7.0.0', 'Added the ability to pass multiple pattern parameters in one call']] },
  { of: ['config|set'], history: [['7.0.0', 'Added the ability to set multiple parameters in one call.']] },
  { of: ['exists'], history: [['3.0.3', 'Accepts multiple `key` arguments.']] },
  {
    of: ['expire', 'expireat', 'pexpire', 'pexpireat'],
    history: [['7.0.0', 'Added options: `NX`, `XX`, `GT` and `LT`.']],
  },
  {
    of: ['flushall', 'flushdb'],
    history: [
      ['4.0.0', 'Added the `ASYNC` flushing mode modifier.'],
      ['6.2.0', 'Added the `SYNC` flushing mode modifier.'],
    ],
  },
  { of: ['geoadd'], history: [['6.2.0', 'Added the `CH`, `NX` and `XX` options.']] },
  {
    of: ['georadius'],
    history: [
      ['6.2.0', 'Added the `ANY` option for `COUNT`.'],
      ['7.0.0', 'Added support for uppercase unit names.'],
    ],
  },
  { of: ['georadius_ro'], history: [['6.2.0', 'Added the `ANY` option for `COUNT`.']] },
  {
    of: ['georadiusbymember', 'geosearch', 'geosearchstore'],
    history: [['7.0.0', 'Added support for uppercase unit names.']],
  },
  { of: ['hdel'], history: [['2.4.0', 'Accepts multiple `field` arguments.']] },
  {
    of: ['hello'],
    history: [
      [
        '6.2.0',
        "`protover` made optional; when called without arguments the command reports the current connection's context.",
      ],
    ],
  },
  { of: ['hset'], history: [['4.0.0', 'Accepts multiple `field` and `value` arguments.']] },
  { of: ['info'], history: [['7.0.0', 'Added support for taking multiple section arguments.']] },
  { of: ['lpop', 'rpop'], history: [['6.2.0', 'Added the `count` argument.']] },
  { of: ['lpush', 'rpush'], history: [['2.4.0', 'Accepts multiple `element` arguments.']] },
  { of: ['lpushx', 'rpushx'], history: [['4.0.0', 'Accepts multiple `element` arguments.']] },
  {
    of: ['migrate'],
    history: [
      ['3.0.0', 'Added the `COPY` and `REPLACE` options.'],
      ['3.0.6', 'Added the `KEYS` option.'],
      ['4.0.7', 'Added the `AUTH` option.'],
      ['6.0.0', 'Added the `AUTH2` option.'],
    ],
  },
  { of: ['pttl', 'ttl'], history: [['2.8.0', 'Added the -2 reply.']] },
  {
    of: ['renamenx'],
    history: [['3.2.0', 'The command no longer returns an error when source and destination names are the same.']],
  },
  {
    of: ['restore', 'restore-asking'],
    history: [
      ['3.0.0', 'Added the `REPLACE` modifier.'],
      ['5.0.0', 'Added the `ABSTTL` modifier.'],
      ['5.0.0', 'Added the `IDLETIME` and `FREQ` options.'],
    ],
  },
  { of: ['sadd', 'srem'], history: [['2.4.0', 'Accepts multiple `member` arguments.']] },
  { of: ['scan'], history: [['6.0.0', 'Added the `TYPE` subcommand.']] },
  { of: ['script|flush'], history: [['6.2.0', 'Added the `ASYNC` and `SYNC` flushing mode modifiers.']] },
  {
    of: ['set'],
    history: [
      ['2.6.12', 'Added the `EX`, `PX`, `NX` and `XX` options.'],
      ['6.0.0', 'Added the `KEEPTTL` option.'],
      ['6.2.0', 'Added the `GET`, `EXAT` and `PXAT` option.'],
      ['7.0.0', 'Allowed the `NX` and `GET` options to be used together.'],
    ],
  },
  { of: ['shutdown'], history: [['7.0.0', 'Added the `NOW`, `FORCE` and `ABORT` modifiers.']] },
  { of: ['slowlog|get'], history: [['4.0.0', 'Added client IP address, port and name to the reply.']] },
  { of: ['spop'], history: [['3.2.0', 'Added the `count` argument.']] },
  { of: ['srandmember'], history: [['2.6.0', 'Added the optional `count` argument.']] },
  {
    of: ['xadd'],
    history: [
      ['6.2.0', 'Added the `NOMKSTREAM` option, `MINID` trimming strategy and the `LIMIT` option.'],
      ['7.0.0', 'Added support for the `<ms>-*` explicit ID form.'],
    ],
  },
  {
    of: ['xautoclaim'],
    history: [
      ['7.0.0', 'Added an element to the reply array, containing deleted entries the command cleared from the PEL'],
    ],
  },
  { of: ['xgroup|create'], history: [['7.0.0', 'Added the `entries_read` named argument.']] },
  { of: ['xgroup|setid'], history: [['7.0.0', 'Added the optional `entries_read` argument.']] },
  { of: ['xinfo|groups'], history: [['7.0.0', 'Added the `entries-read` and `lag` fields']] },
  {
    of: ['xinfo|stream'],
    history: [
      ['6.0.0', 'Added the `FULL` modifier.'],
      [
        '7.0.0',
        'Added the `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag` fields',
      ],
    ],
  },
  { of: ['xpending'], history: [['6.2.0', 'Added the `IDLE` option and exclusive range intervals.']] },
  { of: ['xrange', 'xrevrange'], history: [['6.2.0', 'Added exclusive ranges.']] },
  { of: ['xsetid'], history: [['7.0.0', 'Added the `entries_added` and `max_deleted_entry_id` arguments.']] },
  { of: ['xtrim'], history: [['6.2.0', 'Added the `MINID` trimming strategy and the `LIMIT` option.']] },
  {
    of: ['zadd'],
    history: [
      ['2.4.0', 'Accepts multiple elements.'],
      ['3.0.2', 'Added the `XX`, `NX`, `CH` and `INCR` options.'],
      ['6.2.0', 'Added the `GT` and `LT` options.'],
    ],
  },
  { of: ['zrange'], history: [['6.2.0', 'Added the `REV`, `BYSCORE`, `BYLEX` and `LIMIT` options.']] },
  { of: ['zrangebyscore'], history: [['2.0.0', 'Added the `WITHSCORES` modifier.']] },
  { of: ['zrem'], history: [['2.4.0', 'Accepts multiple elements.']] },
  { of: ['zrevrangebyscore'], history: [['2.1.6', '`min` and `max` can be exclusive.']] },
]

const BY_NAME: ReadonlyMap<string, History> = new Map(
  CHANGES.flatMap(({ of, history }) => of.map((name) => [name, history] as const)),
)

/** Of a command or subcommand by its full name ("client|kill"); empty for one that has not changed. */
export const historyOf = (fullName: string): History => BY_NAME.get(fullName) ?? []
