-- id, value -> 1, or 0: there is one
local id, value = ARGV[2], ARGV[3]
local left = redis.call('PTTL', key)
if redis.call('HSETNX', key, id, value) == 0 then
  if not expired(redis.call('HGET', key, id)) then
    return 0
  end
  redis.call('HSET', key, id, value)
end
keep(key, left, ends(value))
-- What has expired beside it goes bit by bit, with one write in eight. That leaves eight or so there even where it takes all,
-- so it need not look at a hash of as many: to read all of a small one costs more than the rest of this.
if time[2] % 8 == 0 and redis.call('HLEN', key) > 8 then
  local some = redis.call('HRANDFIELD', key, 24, 'WITHVALUES')
  for i = 1, #some, 2 do
    if expired(some[i + 1]) and some[i] ~= id then
      redis.call('HDEL', key, some[i])
    end
  end
end
return 1
