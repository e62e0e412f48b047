-- -> how many live sessions there were, without jam's own notes
local count = 0
local moment = now()
local all = redis.call('HGETALL', key)
for i = 1, #all, 2 do
  if string.sub(all[i], -1) ~= '~' and not lapsed(all[i + 1], moment) then
    count = count + 1
  end
end
redis.call('UNLINK', key)
return count
