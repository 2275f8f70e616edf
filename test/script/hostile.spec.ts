/** Scripts that mean harm: the node goes on, and the next script finds everything as it was. */
import assert from 'node:assert/strict'
import { InProcess, type Wired } from '../support/inprocess.ts'

/** What a script tries, and what it is told. */
const HOSTILE: Readonly<Record<string, readonly [script: string, told: RegExp]>> = {
  'fills the memory with a string': ["local s='x' while true do s=s..s end", /not enough memory/],
  'asks for a giant string': ["return string.rep('x', 2^31-1)", /not enough memory|too large/],
  'asks for giant strings again and again': [
    "for i=1,1000 do pcall(string.rep,'x',2^30) end return 'survived'",
    /^survived$/,
  ],
  'fills the memory with tables': ['local t={} while true do t={t,{},{},{}} end', /not enough memory/],
  'catches that the memory is full, and goes on': [
    "local ok,e=pcall(function() local s='x' while true do s=s..s end end) return e",
    /^not enough memory$/,
  ],
  'recurses without end': ['local function f() return 1+f() end return f()', /stack overflow/],
  'recurses through metamethods': [
    'local t=setmetatable({},{}) getmetatable(t).__index=function(t,k) return t[k..1] end return t.x',
    /C stack overflow|not enough memory/,
  ],
  'recurses through coroutines': ['local f f=function() return coroutine.wrap(f)() end return f()', /C stack overflow/],
  'recurses in a pattern': [
    "return string.find(string.rep('a',300000), string.rep('a?',300000)..string.rep('a',300000))",
    /broke its interpreter|too complex|not enough memory/,
  ],
  'recurses through the compiler': ["return loadstring(string.rep('(',100000))", /^null$/],
  'decodes JSON of great depth': ["return cjson.decode(string.rep('[',1e6))", /too many nested/],
  'unpacks MessagePack of great depth': [
    "return cmsgpack.unpack(string.rep('\\145',1e6))",
    /stack overflow|Missing bytes|broke/,
  ],
  'unpacks too many values': ['return {unpack({}, 1, 1e8)}', /too many results/],
  'changes a library': ["string.format=function() return 'mine' end", /readonly table/],
  'changes a library past its metatable': ["rawset(string,'format',1)", /readonly table/],
  'changes the metatable of strings': ["getmetatable('').__index=function() return 1 end", /readonly table/],
  'changes the metatable of the globals': ['getmetatable(_G).__index=function() return 1 end', /readonly table/],
  'gives the globals another metatable': ['setmetatable(_G, nil)', /readonly table/],
  'puts values into the globals': ['table.insert(_G, 1)', /readonly table/],
  'reaches for a library behind its front': ['pairs(string)(({pairs(string)})[2]).x = 1', /attempt to index/],
  'leaves a global behind': ['leaked = 1', /readonly table/],
  'opens a file': ["return io.open('/etc/passwd')", /nonexistent global variable 'io'/],
  'runs a program': ["return os.execute('id')", /nonexistent global variable 'os'/],
  'loads a module': ["return require('x')", /nonexistent global variable 'require'/],
  'asks for the debugger of Lua': ['return debug.getregistry()', /nonexistent global variable 'debug'/],
  'changes an environment': ['setfenv(1, {})', /nonexistent global variable 'setfenv'/],
  'loads a binary chunk': ['return loadstring(string.dump(function() return 1 end))()', /attempt to call a nil value/],
  'is a binary chunk': ['\x1bLua', /unexpected symbol near 'char\(27\)'/],
  'collects garbage with its own hands': [
    'local ok,e=pcall(function() return newproxy(true) end) return e',
    /nonexistent global variable 'newproxy'/,
  ],
}

/** A script that works only where nothing was broken. */
const PROBE =
  "redis.call('set',KEYS[1],ARGV[1]) return string.format('%s %d %s', redis.call('get',KEYS[1]), #cjson.encode({1}), tostring(rawget(_G,'leaked')))"

function probe(client: Wired): void {
  assert.equal(client.outcome('EVAL', PROBE, 1, 'probe', 'a\tb'), 'a\tb 3 nil')
}

describe('a hostile script', function () {
  this.timeout(60_000)
  const inner = new InProcess()
  const client = inner.connect()
  for (const [what, [script, told]] of Object.entries(HOSTILE))
    it(`that ${what} harms nothing`, () => {
      const sha = client.outcome('SCRIPT', 'LOAD', 'return 5')
      assert.match(client.outcome('EVAL', script, 0), told)
      probe(client)
      // What was cached before is there, even in another interpreter.
      assert.equal(client.outcome('EVALSHA', sha, 0), '5')
    })

  it('keeps functions and what others have cached when its interpreter has to be replaced', () => {
    client.call('FUNCTION', 'LOAD', "#!lua name=l\nredis.register_function('f', function() return 'f' end)")
    client.outcome('EVAL', HOSTILE['recurses in a pattern']![0], 0)
    assert.equal(client.outcome('FCALL', 'f', 0), 'f')
  })
})
