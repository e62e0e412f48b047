-- Servers whose hash fields cannot expire: each value carries its expiry, and the hash expires with its last session.
-- What every script for them begins with. A script makes its functions anew each time it runs, so each takes only those it needs.

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

-- When a session ends; 0: never. '\0@', 15 digits of milliseconds (0: never) and the payload; anything else is a bare payload
-- that never expires.
local function ends(value)
  local first, second = string.byte(value, 1, 2)
  return first == 0 and second == 64 and tonumber(string.sub(value, 3, 17)) or 0
end

local function expired(value)
  local at = ends(value)
  return at ~= 0 and at <= now
end
