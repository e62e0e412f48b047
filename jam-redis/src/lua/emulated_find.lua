-- A live session.
local function find(key, id)
  local value = redis.call('HGET', key, id)
  if value and not expired(value) then
    return value
  end
end
