-- cursor -> {the next cursor, how many went}; a piece of the hash at a time
local page = redis.call('HSCAN', key, ARGV[2], 'COUNT', 200)
local removed = 0
for i = 1, #page[2], 2 do
  if expired(page[2][i + 1]) then
    redis.call('HDEL', key, page[2][i])
    removed = removed + 1
  end
end
return { page[1], removed }
