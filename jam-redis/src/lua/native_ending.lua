-- id[, to, before] -> {value, when its field expires (negative: never), the server's time}
local value = redis.call('HGET', key, ARGV[2])
local moment = now()
if not value or lapsed(value, moment) then
  return false
end
if ARGV[3] then
  renew(prolong, key, ARGV[2], value, tonumber(ARGV[3]), tonumber(ARGV[4]))
  value = redis.call('HGET', key, ARGV[2])
end
return { value, redis.call('HPEXPIRETIME', key, 'FIELDS', 1, ARGV[2])[1], moment }
