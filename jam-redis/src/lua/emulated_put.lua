local function put(key, id, value)
  local left = redis.call('PTTL', key)
  redis.call('HSET', key, id, value)
  keep(key, left, ends(value))
end
