-- id, value -> 1, or 0: there is one
if find(key, ARGV[2]) then
  return 0
end
put(key, ARGV[2], ARGV[3])
-- What has expired beside it goes bit by bit, with the writes.
local some = redis.call('HRANDFIELD', key, 3, 'WITHVALUES')
for i = 1, #some, 2 do
  if some[i] ~= ARGV[2] and expired(some[i + 1]) then
    redis.call('HDEL', key, some[i])
  end
end
return 1
