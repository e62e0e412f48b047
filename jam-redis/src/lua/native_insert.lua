-- id, value, expiry -> 1, or 0: there is one
if redis.call('HEXISTS', key, ARGV[2]) == 1 then
  return 0
end
put(key, ARGV[2], ARGV[3], ARGV[4])
return 1
