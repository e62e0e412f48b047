-- -> how many live sessions there were, without jam's own notes
local count = 0
for _, id in ipairs(redis.call('HKEYS', key)) do
  if string.sub(id, -1) ~= '~' then
    count = count + 1
  end
end
redis.call('UNLINK', key)
return count
