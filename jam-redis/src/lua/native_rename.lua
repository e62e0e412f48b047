-- from, to, value, expiry, expected payload -> 1, 0: there is none, -1: it is another one, -2: the new id is taken
local value = redis.call('HGET', key, ARGV[2])
if not value then
  return 0
end
if payload(value) ~= ARGV[6] then
  return -1
end
if redis.call('HEXISTS', KEYS[2], ARGV[3]) == 1 then
  return -2
end
put(KEYS[2], ARGV[3], ARGV[4], ARGV[5])
redis.call('HDEL', key, ARGV[2])
return 1
