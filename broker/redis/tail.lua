-- KEYS: stream, position. ARGV: a fresh epoch, run, life of the position
local known = redis.call('HMGET', KEYS[2], 'epoch', 'run', 'offset')
if not known[1] or known[2] ~= ARGV[2] then
  known = {ARGV[1], ARGV[2], '0'}
  redis.call('HSET', KEYS[2], 'epoch', ARGV[1], 'run', ARGV[2], 'offset', 0)
  redis.call('DEL', KEYS[1])
end
if known[3] == '0' then redis.call('PEXPIRE', KEYS[2], ARGV[3]) end
local now = redis.call('TIME')
return {known[1], known[3], string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))}
