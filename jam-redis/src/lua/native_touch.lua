-- id, to -> 1, or 0: there is none
local value = redis.call('HGET', key, ARGV[2])
if not value then
  return 0
end
local to = tonumber(ARGV[3])
prolong(key, ARGV[2], value, to, to)
return 1
