-- KEYS: stream, position. ARGV: a fresh epoch, run, life of the position, 1 if durable
local known = redis.call('HMGET', KEYS[2], 'epoch', 'run', 'offset', 'durable')
local same = known[2] == ARGV[2]
if not known[1] or not same and (known[4] ~= '1' or ARGV[4] ~= '1') then
  known = {ARGV[1], ARGV[2], '0'}
  redis.call('HSET', KEYS[2], 'epoch', ARGV[1], 'run', ARGV[2], 'offset', 0, 'durable', ARGV[4])
  redis.call('DEL', KEYS[1])
elseif ARGV[4] == '1' and (not same or known[4] ~= '1') then
  redis.call('HSET', KEYS[2], 'run', ARGV[2], 'durable', 1)
end
if known[3] == '0' then redis.call('PEXPIRE', KEYS[2], ARGV[3]) end
local now = redis.call('TIME')
return {known[1], known[3], string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))}
