/** The Lua that runs before any script: it replaces what a script could stop the node with, and builds the sandbox.
 *
 *  A script that runs for too long is put aside: a hook yields the coroutine it runs in. Lua 5.1 cannot yield out of C functions, so
 *  those of its library that call back into scripts for long, `pcall` and `coroutine.resume`, are made of coroutines here: an inner
 *  one that the hook has stopped hands its stop on to the one around it, until the outermost leaves Lua, and is continued the same way.
 *
 *  A table that must not change is an empty one in front of it: Lua 5.1 asks `__index` and `__newindex` only for fields that are
 *  not there. What reads or writes past them (rawset, pairs ...) knows those tables and is in `guards.ts`. */
export const PRELUDE = `
local native, library = ...
local enter, preempted, isNative, protect = native.enter, native.preempted, native.isNative, native.protect
local create, resume, yield, running = coroutine.create, coroutine.resume, coroutine.yield, coroutine.running
local pcall, error, type, select, tostring, setmetatable = pcall, error, type, select, tostring, setmetatable
local loadstring, concat = native.loadstring, table.concat

-- The results of resuming a coroutine, once it has stopped of its own will.
local function settle(co, ...)
  local how = preempted()
  if how == nil then return ... end
  if how then yield() end
  return settle(co, resume(co))
end

local function call(f, ...) return f(...) end

-- As redis-server's pcall: of an error that is a table, its text.
local function caught(ok, e, ...)
  if ok then return true, e, ... end
  if type(e) ~= 'table' then return false, e end
  local text = e.err
  if type(text) == 'string' or type(text) == 'number' then return false, text end
  return false, e, text
end

local function protected(f, ...)
  if isNative(f) then return pcall(f, ...) end
  if not enter() then return false, 'C stack overflow' end
  local co = create(call)
  return settle(co, resume(co, f, ...))
end

function library.pcall(...)
  if select('#', ...) == 0 then return false, 'attempt to call a boolean value' end
  return caught(protected(...))
end

local function handled(handler, ok, ...)
  if ok then return true, ... end
  local fine, result = protected(handler, (...))
  if fine then return false, result end
  return false, 'error in error handling'
end

function library.xpcall(...)
  if select('#', ...) < 2 then error("bad argument #2 to 'xpcall' (value expected)", 2) end
  local f, handler = ...
  return handled(handler, protected(f))
end

function library.load(reader, name)
  if type(reader) ~= 'function' then
    error("bad argument #1 to 'load' (function expected, got " .. (reader == nil and 'no value' or type(reader)) .. ')', 2)
  end
  local pieces = {}
  while true do
    local ok, piece = protected(reader)
    -- So says redis-server's error handler, which Lua calls for what happens while it compiles.
    if not ok then return nil, type(piece) == 'table' and piece or { err = 'ERR ' .. tostring(piece) } end
    if piece == nil or piece == '' then break end
    if type(piece) ~= 'string' and type(piece) ~= 'number' then return nil, 'reader function must return a string' end
    pieces[#pieces + 1] = piece
  end
  return loadstring(concat(pieces), name or '=(load)')
end

-- Those a script made itself: only they may yield and be known to it.
local own = setmetatable({}, { __mode = 'k' })

local function start(f)
  local co = create(f)
  own[co] = true
  return co
end

local co = {}
library.coroutine = co
co.status = coroutine.status

function co.create(f)
  if isNative(f) then error("bad argument #1 to 'create' (Lua function expected)", 2) end
  return start(f)
end

function co.resume(thread, ...)
  if type(thread) ~= 'thread' then error("bad argument #1 to 'resume' (coroutine expected)", 2) end
  if not enter() then return false, 'C stack overflow' end
  return settle(thread, resume(thread, ...))
end

local function unwrap(ok, ...)
  if ok then return ... end
  local e = ...
  error(e, type(e) == 'string' and 3 or 0)
end

function co.wrap(f)
  if isNative(f) then error("bad argument #1 to 'wrap' (Lua function expected)", 2) end
  local thread = start(f)
  return function(...)
    if not enter() then error('C stack overflow', 0) end
    return unwrap(settle(thread, resume(thread, ...)))
  end
end

function co.yield(...)
  if not own[running()] then error('attempt to yield across metamethod/C-call boundary', 0) end
  return yield(...)
end

function co.running()
  local thread = running()
  return own[thread] and thread or nil
end

local function readonly() error('Attempt to modify a readonly table', 2) end

local function seal(real, visible)
  local meta = { __index = real, __newindex = readonly }
  local front = setmetatable({}, meta)
  protect(front, real, visible)
  return front, meta
end

local function missing(_, name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end

local strict = { __index = missing }

local sealed = {}
for name, value in pairs(library) do
  if type(value) == 'table' then sealed[name] = seal(value) end
end
-- Strings find their methods in the table itself; who asks for their metatable gets a front of it.
protect(getmetatable(''), nil, (seal({ __index = sealed.string })))

local function environment(redis)
  local globals = setmetatable({ redis = seal(redis) }, strict)
  for name, value in pairs(library) do rawset(globals, name, sealed[name] or value) end
  local front, meta = seal(globals, (seal({ __index = missing })))
  rawset(globals, '_G', front)
  return globals, front, meta
end

-- While a library is loaded there is nothing but what registers its functions.
local loading = setmetatable({ redis = seal(setmetatable(native.loadingRedis, strict)) }, strict)
local evalGlobals, evalFront = environment(native.evalRedis)
local functionGlobals, functionFront, functionMeta = environment(native.functionRedis)
return evalGlobals, evalFront, functionGlobals, functionFront, functionMeta, loading
`
