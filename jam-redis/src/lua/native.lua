-- Servers whose hash fields can expire. What every script below begins with.

-- The latest expiry that every server takes for a field: 2^46 - 1 ms. Later ones stand in the value.
local LATEST = 70368744177663

local function whole(number)
  return string.format('%.0f', number)
end

-- A value that begins with NUL is not the bare payload: '\0=' and the payload, which began with NUL itself;
-- '\0>' and '\0@', 15 digits of milliseconds (0: never) and the payload: an expiry beyond LATEST; an expiry kept
-- while the server had no field expiry.
local function kind(value)
  if string.byte(value, 1) ~= 0 then
    return nil
  end
  return string.sub(value, 2, 2)
end

local function payload(value)
  local is = kind(value)
  if is == '=' then
    return string.sub(value, 3)
  elseif is == '>' or is == '@' then
    return string.sub(value, 18)
  end
  return value
end

local function put(key, id, value, at)
  redis.call('HSET', key, id, value)
  if at ~= '' then
    redis.call('HPEXPIREAT', key, at, 'FIELDS', 1, id)
  end
end

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The milliseconds of '\0>' and '\0@'; nil: they are no number, so the value is none of jam's, and is left to be ended.
local function date(value)
  return tonumber(string.match(value, '^%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d', 3))
end

-- Whether a value is one whose session ended while it was kept emulated.
local function lapsed(value, moment)
  local at = kind(value) == '@' and date(value) or 0
  return at ~= 0 and at <= moment
end

-- A hash from a server without field expiry: every value carries its expiry, and the hash one of its own. Turned
-- into what this server would have held, before anything else is done with it. Every value is looked at, for with the
-- layout of Python's jamlib there may be bare ones beside them. Gives what the server says if it has no memory left for
-- that, or is a replica; then the hash is as it was, but for the sessions that had ended.
local function adopt(key)
  local all = redis.call('HGETALL', key)
  local emulated = false
  for i = 2, #all, 2 do
    emulated = emulated or kind(all[i]) == '@'
  end
  if not emulated then
    return
  end
  local moment = now()
  for i = 1, #all, 2 do
    local id, value = all[i], all[i + 1]
    local at = kind(value) == '@' and date(value)
    local done
    if lapsed(value, moment) then
      done = redis.pcall('HDEL', key, id)
    elseif at then
      local own = payload(value)
      if at > LATEST then
        own = '\0>' .. string.sub(value, 3)
      elseif string.byte(own, 1) == 0 then
        own = '\0=' .. own
      end
      done = redis.pcall('HSET', key, id, own)
      if type(done) ~= 'table' and at ~= 0 and at <= LATEST then
        redis.call('HPEXPIREAT', key, whole(at), 'FIELDS', 1, id)
      end
    end
    if type(done) == 'table' then
      return done
    end
  end
  redis.call('PERSIST', key)
end

-- Moves the expiry of a live field to `to`, if it lies before both `to` and `before`.
local function prolong(key, id, value, to, before)
  if kind(value) == '>' then
    local at = date(value)
    if at and at < to and at < before then
      redis.call('HSET', key, id, string.format('\0>%015.0f', to) .. string.sub(value, 18))
    end
    return
  end
  local at = redis.call('HPEXPIRETIME', key, 'FIELDS', 1, id)[1]
  if at < 0 or at >= to or at >= before then
    return
  end
  if to <= LATEST then
    redis.call('HPEXPIREAT', key, whole(to), 'FIELDS', 1, id)
  else
    redis.call('HSET', key, id, string.format('\0>%015.0f', to) .. payload(value))
  end
end

-- '1': this process has not seen that the hash is free of emulated values. '2': nor has it, and the script can do with such
-- values, so it goes on where they cannot be converted.
if ARGV[1] ~= '0' then
  -- A server without field expiry fails here, before anything is written.
  redis.call('HPEXPIRETIME', KEYS[1], 'FIELDS', 1, '')
  for _, key in ipairs(KEYS) do
    local refused = adopt(key)
    if refused and ARGV[1] == '1' then
      return refused
    end
  end
end
local key = KEYS[1]
