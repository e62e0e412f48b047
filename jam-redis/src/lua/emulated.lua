-- Servers whose hash fields cannot expire: each value carries its expiry, and the hash expires with its last session.
-- What every script below begins with.

-- '1': the server behind this connection may have been replaced unnoticed, by one that can.
if ARGV[1] == '1' then
  local answer = redis.pcall('HPTTL', KEYS[1], 'FIELDS', 1, '')
  if type(answer) ~= 'table' or not answer.err then
    return redis.error_reply('JAMNEWER this server has field expiry')
  end
end

local key = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- '\0@', 15 digits of milliseconds (0: never) and the payload; anything else is a bare payload that never expires.
local function emulated(value)
  return string.byte(value, 1) == 0 and string.sub(value, 2, 2) == '@'
end

local function payload(value)
  return emulated(value) and string.sub(value, 18) or value
end

-- When the session ends; 0: never.
local function ends(value)
  return emulated(value) and tonumber(string.sub(value, 3, 17)) or 0
end

local function expired(value)
  local at = ends(value)
  return at ~= 0 and at <= now
end

local function find(key, id)
  local value = redis.call('HGET', key, id)
  if value and not expired(value) then
    return value
  end
end

-- The hash outlives its last session by a second, so that two readings of the clock need not agree exactly.
local function live_until(key, at)
  redis.call('PEXPIREAT', key, string.format('%.0f', at + 1000))
end

local function put(key, id, value)
  local left = redis.call('PTTL', key)
  redis.call('HSET', key, id, value)
  local at = ends(value)
  if at == 0 then
    if left >= 0 then
      redis.call('PERSIST', key)
    end
  elseif left == -2 or (left >= 0 and now + left < at + 500) then
    live_until(key, at)
  end
end

-- After a session that never expires has gone or got an expiry, the hash may get one too.
local function settle(key, gone)
  if ends(gone) ~= 0 or redis.call('PTTL', key) ~= -1 then
    return
  end
  local last = 0
  for _, value in ipairs(redis.call('HVALS', key)) do
    local at = ends(value)
    if at == 0 then
      return
    end
    last = math.max(last, at)
  end
  live_until(key, last)
end

local function drop(key, id, value)
  redis.call('HDEL', key, id)
  settle(key, value)
end

-- Moves the expiry of a live session to `to`, if it lies before both `to` and `before`.
local function prolong(key, id, value, to, before)
  local at = ends(value)
  if at ~= 0 and at < to and at < before then
    put(key, id, string.format('\0@%015.0f', to) .. payload(value))
  end
end
