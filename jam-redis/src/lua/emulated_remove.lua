-- id[, expected payload] -> 1, 0: there is none, -1: it is another one
local value = find(key, ARGV[2])
if not value then
  return 0
end
if ARGV[3] and payload(value) ~= ARGV[3] then
  return -1
end
redis.call('HDEL', key, ARGV[2])
settle(key, value)
return 1
