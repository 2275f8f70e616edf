/** The table of directives: everything redis-server 7.0 knows, and what newer servers and their tools write into files.
 *  Adding one is adding a row. Defaults are written as CONFIG GET prints them. */

import * as check from './check.ts'
import {
  addresses,
  bufferLimits,
  eventClasses,
  folder,
  integers,
  percentiles,
  replicationTarget,
  saveRules,
} from './composite.ts'
import {
  bool,
  choice,
  choices,
  type Directive,
  I32_MAX,
  I32_MIN,
  I64_MAX,
  integer,
  memory,
  memoryOrPercent,
  octal,
  text,
  U32_MAX,
  U64_MAX,
  type ValueOf,
} from './directive.ts'

const fixed = { immutable: true } as const
const idle = { idle: true } as const
const fixedIdle = { immutable: true, idle: true } as const
const hidden = { hidden: true } as const
const reference = { reference: true } as const
const hiddenIdle = { hidden: true, idle: true } as const
const aka = (...alias: string[]): { alias: string[] } => ({ alias })

export const DIRECTIVES = {
  // Network
  bind: addresses('* -::*'),
  'bind-source-addr': text(),
  port: integer('6379', 0, 65535),
  'tcp-backlog': integer('511', 0, I32_MAX, fixed),
  'tcp-keepalive': integer('300', 0, I32_MAX),
  timeout: integer('0', 0, I32_MAX),
  unixsocket: text('', fixed),
  unixsocketperm: octal('0', fixed),
  'socket-mark-id': integer('0', 0, U32_MAX, fixedIdle),
  'protected-mode': bool('yes'),
  maxclients: integer('10000', 1, U32_MAX),
  'client-query-buffer-limit': memory('1073741824', 1024 * 1024, I64_MAX),
  'client-output-buffer-limit': bufferLimits({
    normal: { hard: 0, soft: 0, softSeconds: 0 },
    replica: { hard: 268435456, soft: 67108864, softSeconds: 60 },
    pubsub: { hard: 33554432, soft: 8388608, softSeconds: 60 },
  }),
  'maxmemory-clients': memoryOrPercent('0'),
  'proto-max-bulk-len': memory('536870912', 1024 * 1024, I64_MAX),

  // TLS
  'tls-port': integer('0', 0, 65535),
  'tls-cluster': bool('no'),
  'tls-replication': bool('no'),
  'tls-auth-clients': choice(['no', 'yes', 'optional'], 'yes'),
  'tls-cert-file': text('', reference),
  'tls-key-file': text('', reference),
  'tls-key-file-pass': text(),
  'tls-client-cert-file': text('', reference),
  'tls-client-key-file': text('', reference),
  'tls-client-key-file-pass': text(),
  'tls-dh-params-file': text('', reference),
  'tls-ca-cert-file': text('', reference),
  'tls-ca-cert-dir': text('', reference),
  'tls-protocols': text(),
  'tls-ciphers': text(),
  'tls-ciphersuites': text(),
  'tls-prefer-server-ciphers': bool('no'),
  'tls-session-caching': bool('yes', idle),
  'tls-session-cache-size': integer('20480', 0, I32_MAX, idle),
  'tls-session-cache-timeout': integer('300', 0, I32_MAX),

  // Process, log
  daemonize: bool('no', fixed),
  supervised: choice(['upstart', 'systemd', 'auto', 'no'], 'no', fixedIdle),
  pidfile: text('', fixed),
  dir: folder({ protected: true }),
  databases: integer('16', 1, I32_MAX, fixed),
  loglevel: choice(['debug', 'verbose', 'notice', 'warning'], 'notice'),
  logfile: text('', { immutable: true, keepEmpty: true }),
  'hide-user-data-from-log': bool('yes', hidden),
  'always-show-logo': bool('no', fixed),
  'set-proc-title': bool('yes', fixed),
  'proc-title-template': text('{title} {listen-addr} {server-mode}', { check: check.titleTemplate }),
  'syslog-enabled': bool('no', fixedIdle),
  'syslog-ident': text('redis', { immutable: true, idle: true, keepEmpty: true }),
  'syslog-facility': choice(
    ['user', 'local0', 'local1', 'local2', 'local3', 'local4', 'local5', 'local6', 'local7'],
    'local0',
    fixedIdle,
  ),
  'crash-log-enabled': bool('yes', idle),
  'crash-memcheck-enabled': bool('yes', idle),
  'use-exit-on-panic': bool('no', hiddenIdle),
  'watchdog-period': integer('0', 0, I32_MAX, hiddenIdle),
  'disable-thp': bool('yes', fixedIdle),
  'ignore-warnings': text('', { idle: true, keepEmpty: true }),
  'oom-score-adj': choice(['no', 'yes', 'relative', 'absolute'], 'no', { idle: true, synonyms: { relative: 'yes' } }),
  'oom-score-adj-values': integers('0 200 800', -2000, 2000, check.OOM_RANGE, idle),
  server_cpulist: text('', fixedIdle),
  bio_cpulist: text('', fixedIdle),
  aof_rewrite_cpulist: text('', fixedIdle),
  bgsave_cpulist: text('', fixedIdle),
  'io-threads': integer('1', 1, 128, fixedIdle),
  'io-threads-do-reads': bool('no', fixedIdle),
  hz: check.clamped(integer('10', 0, I32_MAX), 1, 500),
  'dynamic-hz': bool('yes', idle),
  'shutdown-timeout': integer('10', 0, I32_MAX),
  'shutdown-on-sigint': choices(['default', 'save', 'nosave', 'now', 'force'], { check: check.shutdownFlags }),
  'shutdown-on-sigterm': choices(['default', 'save', 'nosave', 'now', 'force'], { check: check.shutdownFlags }),

  // Security
  requirepass: text(),
  aclfile: text('', { immutable: true, keepEmpty: true }),
  'acllog-max-len': integer('128', 0, I64_MAX),
  'acl-pubsub-default': choice(['allchannels', 'resetchannels'], 'resetchannels'),
  'enable-protected-configs': choice(['no', 'yes', 'local'], 'no', fixed),
  'enable-debug-command': choice(['no', 'yes', 'local'], 'no', fixed),
  'enable-module-command': choice(['no', 'yes', 'local'], 'no', fixed),
  'enable-debug-assert': bool('no', { immutable: true, hidden: true, idle: true }),

  // Snapshots and the append-only file
  save: saveRules('3600 1 300 100 60 10000'),
  dbfilename: text('dump.rdb', { protected: true, check: check.fileName('dbfilename', 'filename') }),
  rdbcompression: bool('yes'),
  rdbchecksum: bool('yes', fixedIdle),
  'rdb-del-sync-files': bool('no', idle),
  'rdb-save-incremental-fsync': bool('yes', idle),
  'rdb-key-save-delay': integer('0', I32_MIN, I32_MAX, hidden),
  'key-load-delay': integer('0', I32_MIN, I32_MAX, hidden),
  'loading-process-events-interval-bytes': integer('2097152', 1024, I32_MAX, hidden),
  'sanitize-dump-payload': choice(['no', 'yes', 'clients'], 'no', idle),
  'stop-writes-on-bgsave-error': bool('yes'),
  appendonly: bool('no'),
  appendfsync: choice(['everysec', 'always', 'no'], 'everysec'),
  appendfilename: text('appendonly.aof', {
    ...fixed,
    check: (name) => check.notEmpty('appendfilename', name) ?? check.fileName('appendfilename', 'filename')(name),
  }),
  appenddirname: text('appendonlydir', {
    ...fixed,
    check: (name) => check.notEmpty('appenddirname', name) ?? check.fileName('appenddirname', 'dirname')(name),
  }),
  'aof-load-truncated': bool('yes'),
  'aof-use-rdb-preamble': bool('yes', idle),
  'aof-timestamp-enabled': bool('no', idle),
  'aof-rewrite-incremental-fsync': bool('yes', idle),
  'aof-disable-auto-gc': bool('no', idle),
  'auto-aof-rewrite-percentage': integer('100', 0, I32_MAX),
  'auto-aof-rewrite-min-size': memory('67108864', 0, I64_MAX),
  'no-appendfsync-on-rewrite': bool('no', idle),

  // Replication
  replicaof: replicationTarget({ immutable: true, ...aka('slaveof') }),
  masterauth: text('', aka('primaryauth')),
  masteruser: text('', aka('primaryuser')),
  'replica-serve-stale-data': bool('yes', aka('slave-serve-stale-data')),
  'replica-read-only': bool('yes', aka('slave-read-only')),
  'replica-ignore-maxmemory': bool('yes', aka('slave-ignore-maxmemory')),
  'replica-ignore-disk-write-errors': bool('no', idle),
  'replica-lazy-flush': bool('no', { ...idle, ...aka('slave-lazy-flush') }),
  'replica-priority': integer('100', 0, I32_MAX, aka('slave-priority')),
  'replica-announced': bool('yes'),
  'replica-announce-ip': text('', aka('slave-announce-ip')),
  'replica-announce-port': integer('0', 0, 65535, aka('slave-announce-port')),
  'repl-ping-replica-period': integer('10', 1, I32_MAX, aka('repl-ping-slave-period')),
  'repl-timeout': integer('60', 1, I32_MAX),
  'repl-backlog-size': check.clamped(memory('1048576', 1, I64_MAX), 16384),
  'repl-backlog-ttl': integer('3600', 0, I64_MAX),
  'repl-disable-tcp-nodelay': bool('no'),
  'repl-diskless-sync': bool('yes'),
  'repl-diskless-sync-delay': integer('5', 0, I32_MAX),
  'repl-diskless-sync-max-replicas': integer('0', 0, I32_MAX),
  'repl-diskless-load': choice(['disabled', 'on-empty-db', 'swapdb'], 'disabled'),
  'min-replicas-to-write': integer('0', 0, I32_MAX, aka('min-slaves-to-write')),
  'min-replicas-max-lag': integer('10', 0, I32_MAX, aka('min-slaves-max-lag')),
  'propagation-error-behavior': choice(['ignore', 'panic', 'panic-on-replicas'], 'ignore', idle),

  // Cluster
  'cluster-enabled': bool('no', fixed),
  'cluster-config-file': text('nodes.conf', fixed),
  'cluster-node-timeout': integer('15000', 0, I64_MAX),
  'cluster-port': integer('0', 0, 65535, fixed),
  'cluster-replica-validity-factor': integer('10', 0, I32_MAX, aka('cluster-slave-validity-factor')),
  'cluster-migration-barrier': integer('1', 0, I32_MAX),
  'cluster-allow-replica-migration': bool('yes'),
  'cluster-require-full-coverage': bool('yes'),
  'cluster-replica-no-failover': bool('no', aka('cluster-slave-no-failover')),
  'cluster-allow-reads-when-down': bool('no'),
  'cluster-allow-pubsubshard-when-down': bool('yes'),
  'cluster-link-sendbuf-limit': memory('0', 0, U64_MAX),
  'cluster-preferred-endpoint-type': choice(['ip', 'hostname', 'unknown-endpoint'], 'ip'),
  'cluster-announce-ip': text('', { check: check.announcedIp }),
  'cluster-announce-port': integer('0', 0, 65535),
  'cluster-announce-tls-port': integer('0', 0, 65535),
  'cluster-announce-bus-port': integer('0', 0, 65535),
  'cluster-announce-hostname': text('', { check: check.hostname }),
  'cluster-announce-human-nodename': text('', { check: check.humanNodename }),
  'cluster-announce-client-ipv4': text('', { check: check.ipv4 }),
  'cluster-announce-client-ipv6': text('', { check: check.ipv6 }),
  'cluster-blacklist-ttl': integer('60', 0, I64_MAX),
  // valkey-cli asks before it moves a slot.
  'cluster-databases': integer('1', 1, 1, fixed),
  'cluster-fast-failover': bool('yes'),
  'cluster-ping-interval': integer('0', 0, I32_MAX, hidden),
  'cluster-slot-stats-enabled': bool('no', idle),

  // Memory
  maxmemory: memory('0', 0, U64_MAX),
  'maxmemory-policy': choice(
    [
      'volatile-lru',
      'volatile-lfu',
      'volatile-random',
      'volatile-ttl',
      'allkeys-lru',
      'allkeys-lfu',
      'allkeys-random',
      'noeviction',
    ],
    'noeviction',
  ),
  'maxmemory-samples': integer('5', 1, I32_MAX),
  'maxmemory-eviction-tenacity': integer('10', 0, 100),
  'lfu-log-factor': integer('10', 0, I32_MAX),
  'lfu-decay-time': integer('1', 0, I32_MAX),
  'active-expire-effort': integer('1', 1, 10),
  'lazyfree-lazy-eviction': bool('no', idle),
  'lazyfree-lazy-expire': bool('no', idle),
  'lazyfree-lazy-server-del': bool('no', idle),
  'lazyfree-lazy-user-del': bool('no', idle),
  'lazyfree-lazy-user-flush': bool('no', idle),
  activerehashing: bool('yes', idle),
  activedefrag: bool('no', idle),
  'active-defrag-ignore-bytes': memory('104857600', 1, I64_MAX, idle),
  'active-defrag-threshold-lower': integer('10', 0, 1000, idle),
  'active-defrag-threshold-upper': integer('100', 0, 1000, idle),
  'active-defrag-cycle-min': integer('1', 1, 99, idle),
  'active-defrag-cycle-max': integer('25', 1, 99, idle),
  'active-defrag-max-scan-fields': integer('1000', 1, I64_MAX, idle),
  'jemalloc-bg-thread': bool('yes', idle),

  // Encodings
  'hash-max-listpack-entries': integer('512', 0, I64_MAX, aka('hash-max-ziplist-entries')),
  'hash-max-listpack-value': memory('64', 0, I64_MAX, aka('hash-max-ziplist-value')),
  'list-max-listpack-size': integer('-2', I32_MIN, I32_MAX, aka('list-max-ziplist-size')),
  'list-compress-depth': integer('0', 0, I32_MAX, idle),
  'set-max-intset-entries': integer('512', 0, I64_MAX),
  'zset-max-listpack-entries': integer('128', 0, I64_MAX, aka('zset-max-ziplist-entries')),
  'zset-max-listpack-value': memory('64', 0, I64_MAX, aka('zset-max-ziplist-value')),
  'hll-sparse-max-bytes': memory('3000', 0, I64_MAX),
  'stream-node-max-bytes': memory('4096', 0, I64_MAX),
  'stream-node-max-entries': integer('100', 0, I64_MAX),

  // What is watched and told
  'notify-keyspace-events': eventClasses(),
  'slowlog-log-slower-than': integer('10000', -1, I64_MAX),
  'slowlog-max-len': integer('128', 0, I64_MAX),
  'latency-monitor-threshold': integer('0', 0, I64_MAX),
  'latency-tracking': bool('yes'),
  'latency-tracking-info-percentiles': percentiles('50 99 99.9'),
  'tracking-table-max-keys': integer('1000000', 0, I64_MAX),
  'busy-reply-threshold': integer('5000', 0, I64_MAX, aka('lua-time-limit')),
  'lua-enable-deprecated-api': bool('no', { immutable: true, hidden: true, idle: true }),
} satisfies Record<string, Directive<unknown>>

export type DirectiveName = keyof typeof DIRECTIVES

type Camel<Name extends string> = Name extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : Name

/** Every value under its directive's name in camel case: `cluster-node-timeout` is `values.clusterNodeTimeout`.
 *  Units are the directive's own; text that is not set is ''. */
export type ConfigValues = {
  readonly [Name in DirectiveName as Camel<Name>]: ValueOf<(typeof DIRECTIVES)[Name]>
}

export const camel = (name: string): string => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
