-- id[, expected payload] -> 1, 0: there is none, -1: it is another one
local value = redis.call('HGET', key, ARGV[2])
if not value or lapsed(value, now()) then
  return 0
end
if ARGV[3] and payload(value) ~= ARGV[3] then
  return -1
end
redis.call('HDEL', key, ARGV[2])
return 1
