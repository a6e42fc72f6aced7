-- KEYS: stream, position. ARGV: channel, content, PUBLISH or SPUBLISH, size, ttl, life of the position, a fresh epoch, run, 1 if durable
local known = redis.call('HMGET', KEYS[2], 'epoch', 'run', 'durable')
local epoch, same = known[1], known[2] == ARGV[8]
if not epoch or not same and (known[3] ~= '1' or ARGV[9] ~= '1') then
  epoch = ARGV[7]
  redis.call('HSET', KEYS[2], 'epoch', epoch, 'run', ARGV[8], 'offset', 0, 'durable', ARGV[9])
  redis.call('DEL', KEYS[1])
elseif ARGV[9] == '1' and (not same or known[3] ~= '1') then
  redis.call('HSET', KEYS[2], 'run', ARGV[8], 'durable', 1)
end
local offset = redis.call('HINCRBY', KEYS[2], 'offset', 1)
local head = string.format('\0%s-%.0f-%.0f', epoch, offset, offset - 1)
local content = ARGV[2]
if string.byte(content) == 0 then content = head .. string.sub(content, 2) else content = head .. ' \n' .. content end
local now = redis.call('TIME')
local id = string.format('%.0f-%.0f', offset, now[1] * 1000 + math.floor(now[2] / 1000))
local out = redis.pcall('XADD', KEYS[1], 'MAXLEN', ARGV[4], id, 'c', content)
if type(out) ~= 'table' then
  out = redis.pcall(ARGV[3], ARGV[1], content)
  if type(out) == 'table' then redis.call('XDEL', KEYS[1], id) end
end
if type(out) == 'table' then -- an error: neither kept nor published
  redis.call('HINCRBY', KEYS[2], 'offset', -1)
  return out
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
return string.format('%s-%.0f', epoch, offset)
