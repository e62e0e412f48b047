-- -> id, value, -1 (the expiry stands in the value), ...
local all = redis.call('HGETALL', key)
local found = {}
for i = 1, #all, 2 do
  if not expired(all[i + 1]) then
    found[#found + 1] = all[i]
    found[#found + 1] = all[i + 1]
    found[#found + 1] = -1
  end
end
return found
