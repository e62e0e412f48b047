-- id, value, expiry[, expected payload] -> 1, 0: there is none, -1: it is another one
local value = redis.call('HGET', key, ARGV[2])
if not value then
  return 0
end
if ARGV[5] and payload(value) ~= ARGV[5] then
  return -1
end
put(key, ARGV[2], ARGV[3], ARGV[4])
return 1
