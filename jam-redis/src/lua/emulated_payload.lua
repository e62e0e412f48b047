-- What a value carries.
local function payload(value)
  local first, second = string.byte(value, 1, 2)
  return first == 0 and second == 64 and string.sub(value, 18) or value
end
