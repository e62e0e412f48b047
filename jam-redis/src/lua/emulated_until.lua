-- The hash outlives its last session by a second, so that two readings of the clock need not agree exactly.
local function live_until(key, at)
  redis.call('PEXPIREAT', key, string.format('%.0f', at + 1000))
end

-- How a hash that had so long `left` lives on, now that it has a session that ends `at`.
local function keep(key, left, at)
  if at == 0 then
    if left >= 0 then
      redis.call('PERSIST', key)
    end
  elseif left == -2 or (left >= 0 and now + left < at + 500) then
    live_until(key, at)
  end
end
