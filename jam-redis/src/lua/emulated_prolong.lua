-- Moves the expiry of a live session to `to`, if it lies before both `to` and `before`.
local function prolong(key, id, value, to, before)
  local at = ends(value)
  if at ~= 0 and at < to and at < before then
    put(key, id, string.format('\0@%015.0f', to) .. payload(value))
  end
end
