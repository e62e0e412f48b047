-- -> id, value, expiry (negative: none), ...
local all = redis.call('HGETALL', key)
local found = {}
local moment = now()
-- In pieces, for a Lua call takes a few thousand arguments at most.
for first = 1, #all, 2000 do
  local last = math.min(first + 1999, #all)
  local ids = {}
  for i = first, last, 2 do
    ids[#ids + 1] = all[i]
  end
  local expiries = redis.call('HPEXPIRETIME', key, 'FIELDS', #ids, unpack(ids))
  for n, at in ipairs(expiries) do
    local i = first + (n - 1) * 2
    if not lapsed(all[i + 1], moment) then
      found[#found + 1] = all[i]
      found[#found + 1] = all[i + 1]
      found[#found + 1] = at
    end
  end
end
return found
