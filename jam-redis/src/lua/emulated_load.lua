-- id[, to, before] -> {the server's time, value}
local value = find(key, ARGV[2])
if value and ARGV[3] then
  renew(prolong, key, ARGV[2], value, tonumber(ARGV[3]), tonumber(ARGV[4]))
  value = redis.call('HGET', key, ARGV[2])
end
return { now, value }
