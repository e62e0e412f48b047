-- id[, expected payload] -> 1, 0: there is none, -1: it is another one
local value = find(key, ARGV[2])
if not value then
  return 0
end
if ARGV[3] and payload(value) ~= ARGV[3] then
  return -1
end
drop(key, ARGV[2], value)
return 1
