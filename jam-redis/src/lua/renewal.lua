-- What reads with a renewal begin with: a read is a read, also where the server takes no writes for want of memory, disk
-- or replicas. The session then keeps the end it has.
local function renew(prolong, ...)
  local done, trouble = pcall(prolong, ...)
  if done then
    return
  end
  local text = type(trouble) == 'table' and trouble.err or tostring(trouble)
  for _, code in ipairs({ 'OOM ', 'MISCONF ', 'NOREPLICAS ' }) do
    if string.find(text, code, 1, true) then
      return
    end
  end
  error(trouble)
end
