-- After a session that never expires has gone or got an expiry, the hash may get one too.
local function settle(key, gone)
  if ends(gone) ~= 0 or redis.call('PTTL', key) ~= -1 then
    return
  end
  local last = 0
  for _, value in ipairs(redis.call('HVALS', key)) do
    local at = ends(value)
    if at == 0 then
      return
    end
    last = math.max(last, at)
  end
  live_until(key, last)
end
