-- from, to, value, expected payload -> 1, 0: there is none, -1: it is another one, -2: the new id is taken
local value = find(key, ARGV[2])
if not value then
  return 0
end
if payload(value) ~= ARGV[5] then
  return -1
end
if find(KEYS[2], ARGV[3]) then
  return -2
end
put(KEYS[2], ARGV[3], ARGV[4])
redis.call('HDEL', key, ARGV[2])
settle(key, value)
return 1
