-- id, value[, expected payload] -> 1, 0: there is none, -1: it is another one
local value = find(key, ARGV[2])
if not value then
  return 0
end
if ARGV[4] and payload(value) ~= ARGV[4] then
  return -1
end
put(key, ARGV[2], ARGV[3])
if ends(ARGV[3]) ~= 0 then
  settle(key, value)
end
return 1
