/** What bench/large.ts asks of collections of a million elements: a row for each request. */
import { type Argument, encode } from '../../test/support/resp.ts'
import { element, keyOf } from './large-data.ts'
import type { Likeness } from './timed.ts'

type Words = readonly Argument[]

export interface Question {
  readonly name: string
  readonly ask: Buffer
  /** Which connection asks: in RESP3, or in the database of the many keys. */
  readonly on: 'plain' | 'resp3' | 'keys'
  readonly alike: Likeness
  /** Sent before, and not timed. */
  readonly before: readonly Words[]
  /** Answered alike by both servers when the request has done the same. */
  readonly proof: Words | undefined
  /** A command that is asked again and again with the cursor it gave, at argument `cursorAt`, until that is 0. */
  readonly walk: { readonly words: Words; readonly cursorAt: number } | undefined
}

type Details = Partial<Omit<Question, 'name' | 'ask'>>

const question = (name: string, ask: Buffer, details: Details): Question => ({
  name,
  ask,
  on: 'plain',
  alike: 'bytes',
  before: [],
  proof: undefined,
  walk: undefined,
  ...details,
})

/** A request of few words, which are its name. */
const ask = (text: string, details: Details = {}): Question => question(text, encode(text.split(' ')), details)

/** One of too many words to be shown. */
const long = (name: string, requests: readonly Words[], details: Details = {}): Question =>
  question(name, Buffer.concat(requests.map(encode)), details)

/** Every command on this one finds nothing at `new`, and what it leaves there must be alike. */
const PROOF: Words = ['DEBUG', 'DIGEST-VALUE', 'new']
const stores = (text: string): Question => ask(text, { proof: PROOF })

/** A change of a copy. */
const changes = (key: string, text: string, details: Details = {}): Question =>
  ask(text, { before: [['COPY', key, 'new']], proof: PROOF, ...details })

const removes = (command: string, key: string): Question =>
  long(`${command} of a ${key}`, [[command, 'new']], { before: [['COPY', key, 'new']] })

/** Chance decides: only how many come is alike. */
const draws = (text: string): Question => ask(text, { alike: 'head' })

const walk = (words: Words, cursorAt: number, on: Question['on'] = 'plain'): Question =>
  question(`${words.join(' ')}, to the end`, Buffer.alloc(0), { on, walk: { words, cursorAt } })

/** One of each type. */
export const COLLECTIONS = ['list', 'set', 'hash', 'zset', 'stream', 'string'] as const

/** All questions about collections of `count` elements. */
export function questions(count: number): readonly Question[] {
  const half = count / 2
  const middle = element(half)
  const some = count / 10
  const each = (head: string, words: (n: number) => Words): Words => [
    ...head.split(' '),
    ...Array.from({ length: some }, (_, n) => words(n)).flat(),
  ]
  return [
    ask('LRANGE list 0 -1'),
    ask('LRANGE list 0 -1', { on: 'resp3' }),
    ask(`LINDEX list ${half}`),
    ask(`LPOS list ${middle}`),
    ask('LPOS list nobody RANK -1'),
    changes('list', `LINSERT new BEFORE ${middle} inserted`),
    changes('list', `LSET new ${half} other`),
    changes('list', `LREM new 0 ${middle}`),
    changes('list', `LTRIM new ${half} -1`),
    changes('list', `LPOP new ${half}`),
    ask('SMEMBERS set', { alike: 'lines' }),
    ask('SMEMBERS set', { alike: 'lines', on: 'resp3' }),
    ask('SINTER set other-set', { alike: 'lines' }),
    ask('SUNION set other-set', { alike: 'lines' }),
    ask('SDIFF set other-set', { alike: 'lines' }),
    ask('SINTERCARD 2 set other-set'),
    stores('SINTERSTORE new set other-set'),
    stores('SUNIONSTORE new set other-set'),
    stores('SDIFFSTORE new set other-set'),
    draws(`SRANDMEMBER set ${some}`),
    draws(`SRANDMEMBER set ${count - 1}`),
    draws(`SRANDMEMBER set -${count}`),
    ask(`SPOP new ${half}`, { before: [['COPY', 'set', 'new']], alike: 'head' }),
    ask(`SPOP new ${count}`, { before: [['COPY', 'set', 'new']], alike: 'lines' }),
    walk(['SSCAN', 'set', '0', 'COUNT', '1000'], 2),
    ask('HGETALL hash', { alike: 'lines' }),
    ask('HGETALL hash', { alike: 'lines', on: 'resp3' }),
    ask('HKEYS hash', { alike: 'lines' }),
    ask('HVALS hash', { alike: 'lines' }),
    draws(`HRANDFIELD hash ${some} WITHVALUES`),
    draws(`HRANDFIELD hash ${count - 1}`),
    draws(`HRANDFIELD hash -${count}`),
    long(`HMGET of ${some}`, [each('HMGET hash', (n) => [element(n * 7)])]),
    walk(['HSCAN', 'hash', '0', 'COUNT', '1000'], 2),
    ask('ZRANGE zset 0 -1'),
    ask('ZRANGE zset 0 -1 WITHSCORES'),
    ask('ZRANGE zset 0 -1 WITHSCORES', { on: 'resp3' }),
    ask('ZREVRANGE zset 0 -1'),
    ask('ZRANGEBYSCORE zset 1000000000 3000000000'),
    ask('ZCOUNT zset 1000000000 3000000000'),
    stores('ZRANGESTORE new zset 0 -1'),
    stores('ZUNIONSTORE new 2 zset other-zset'),
    stores('ZINTERSTORE new 2 zset other-zset'),
    ask('ZUNION 2 zset other-zset WITHSCORES'),
    ask('ZINTER 2 zset other-zset WITHSCORES'),
    ask('ZDIFF 2 zset other-zset WITHSCORES'),
    ask('ZINTERCARD 2 zset other-zset'),
    changes('zset', `ZREMRANGEBYRANK new 0 ${half - 1}`),
    changes('zset', `ZPOPMIN new ${half}`),
    draws(`ZRANDMEMBER zset ${some} WITHSCORES`),
    draws(`ZRANDMEMBER zset ${count - 1}`),
    draws(`ZRANDMEMBER zset -${count}`),
    walk(['ZSCAN', 'zset', '0', 'COUNT', '1000'], 2),
    ask('GEOSEARCH places FROMLONLAT 15 50 BYRADIUS 5000 km ASC'),
    ask('GEOSEARCH places FROMLONLAT 15 50 BYBOX 800 800 km ASC WITHDIST WITHCOORD'),
    ask('GEOSEARCH places FROMLONLAT 15 50 BYRADIUS 5000 km ASC COUNT 10'),
    stores('GEOSEARCHSTORE new places FROMLONLAT 15 50 BYRADIUS 5000 km'),
    ask('XRANGE stream - +'),
    ask('XREVRANGE stream + -'),
    ask('XREAD STREAMS stream 0'),
    changes('stream', `XTRIM new MAXLEN ${half}`),
    changes('stream', `XTRIM new MAXLEN ~ ${half}`),
    ask('SORT numbers'),
    ask('SORT numbers LIMIT 0 10'),
    ask('SORT_RO numbers DESC'),
    ask('SORT list ALPHA DESC'),
    ask('SORT set ALPHA'),
    ask('SORT list BY nosort'),
    ask('SORT set BY nosort', { alike: 'lines' }),
    ask('SORT zset BY nosort DESC LIMIT 0 10'),
    ask('SORT list BY nosort GET # GET absent:*'),
    stores('SORT numbers STORE new'),
    ask('PFCOUNT visitors other-visitors'),
    ask('PFMERGE new visitors other-visitors', { proof: ['GET', 'new'] }),
    ask('BITCOUNT bitmap'),
    ask('BITPOS bitmap 1 1000000'),
    ask('BITOP AND new bitmap other-bitmap', { proof: PROOF }),
    ask('BITOP NOT new bitmap', { proof: PROOF }),
    ask('GETRANGE string 0 -1'),
    ask('GET string'),
    ask('STRLEN string'),
    changes('string', `SETRANGE new ${half} changed`),
    changes('string', 'APPEND new more'),
    long(`MGET of ${some}`, [each('MGET', (n) => [keyOf(n * 7)])], { on: 'keys' }),
    long(`MSET of ${some}`, [each('MSET', (n) => [keyOf(n * 7), `value:${n}`])], { on: 'keys' }),
    long(`DEL of ${some}`, [each('DEL', (n) => [`gone:${n}`])], {
      on: 'keys',
      before: [each('MSET', (n) => [`gone:${n}`, `value:${n}`])],
    }),
    ask('KEYS *', { on: 'keys', alike: 'lines' }),
    ask('KEYS *99*', { on: 'keys', alike: 'lines' }),
    ask('DBSIZE', { on: 'keys' }),
    walk(['SCAN', '0', 'COUNT', '1000'], 1, 'keys'),
    long(`EVAL, a table of ${count}`, [['EVAL', `local t = {} for i = 1, ${count} do t[i] = i end return t`, '0']]),
    long(`EVAL, the elements of LRANGE list 0 ${half}`, [
      ['EVAL', `return redis.call('LRANGE', 'list', 0, ${half})`, '0'],
    ]),
    long(
      `MULTI, ${some} GET, EXEC`,
      [['MULTI'], ...Array.from({ length: some }, (_, n) => ['GET', keyOf(n * 7)]), ['EXEC']],
      { on: 'keys' },
    ),
    ...COLLECTIONS.flatMap((key) => [
      ask(`COPY ${key} new`, { proof: PROOF }),
      removes('DEL', key),
      removes('UNLINK', key),
      ask(`DUMP ${key}`, { alike: 'nothing' }),
      ask(`OBJECT ENCODING ${key}`),
      ask(`MEMORY USAGE ${key}`, { alike: 'nothing' }),
    ]),
  ]
}

/** RESTORE of what a server has dumped of each collection itself. */
export const restoring = (key: string, payload: Buffer): Question =>
  long(`RESTORE new 0 <DUMP ${key}>`, [['RESTORE', 'new', 0, payload]], { proof: PROOF })
