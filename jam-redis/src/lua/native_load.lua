-- id[, to, before] -> value
local value = redis.call('HGET', key, ARGV[2])
if value and lapsed(value, now()) then
  return false
end
if value and ARGV[3] then
  renew(prolong, key, ARGV[2], value, tonumber(ARGV[3]), tonumber(ARGV[4]))
end
return value
