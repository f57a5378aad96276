-- What a row means, in Lua. step.py means the same in Python and explains it; the tests compare
-- every reply of the two, byte for byte. This text serves every row: it knows no state and no row
-- by name. redis_script.py puts the columns of a row in place of the lines in angle brackets. So
-- each row has a script of its own that parses nothing of the row, and processes of different
-- versions can share one server.
--
-- KEYS[1]  the record: one JSON text, which is an object of texts; a hash if it counts
-- ARGV[1]  the beginning of the reply: '["login_id","mark","'
-- ARGV[2]  the mark
-- ARGV[3]  the time in milliseconds, or '' for the server's own clock
-- ARGV[4]  the command's deadline in milliseconds, or ''
-- ARGV[5]  milliseconds until the record may be deleted if it is born here, or ''
-- ARGV[6]  the channel on which a change is published
-- ARGV[7]  what is published before the version: 'login_id '
-- ARGV[8]  from here on: the values, then the durations, in the order of the row's columns
-- returns  one JSON text: [login_id, mark, verdict, now, record]

local call, format = redis.call, string.format
local count = nil
-- <count>

-- A record that a counting row begins is a hash: it is small, and processes of older versions count
-- in it, too. They keep all records as hashes, so one that they began stays a hash.
local kept = redis.pcall('GET', KEYS[1])
local is_hash = type(kept) == 'table'
if is_hash and not kept.err:find('WRONGTYPE', 1, true) then return kept end  -- such as no right to GET
local record = {}
if is_hash then
  local fields = call('HGETALL', KEYS[1])
  for i = 1, #fields, 2 do record[fields[i]] = fields[i + 1] end
  kept = cjson.encode(record)
elseif kept then
  record = cjson.decode(kept)
else
  kept, is_hash = '{}', count ~= nil
end
local known = next(record) ~= nil

local function number(text)
  if text and #text <= 15 and text:find('^[0-9]+$') then return tonumber(text) end
end
local function digits(n) return format('%.0f', n) end

local now = tonumber(ARGV[3])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local changed_at = number(record.changed_at)
if changed_at and changed_at > now then now = changed_at end
local now_text, mark = digits(now), ARGV[2]

local state = ''
if known then
  state = record.state or ''
  if state == '' then state = '?' end
end

local function passed(instant)
  instant = number(instant)
  return not instant or now >= instant
end
local written = false
local function keep(ttl_ms)
  kept, written = cjson.encode(record), true
  if is_hash then
    local fields = {}
    for name, value in pairs(record) do
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
    -- A user without the right to PEXPIRE is refused here, while there is no key yet that would
    -- stay for ever. It does nothing to a key that does not exist.
    if ttl_ms ~= '' then call('PEXPIRE', KEYS[1], ttl_ms) end
    call('HSET', KEYS[1], unpack(fields))
    if ttl_ms ~= '' then call('PEXPIRE', KEYS[1], ttl_ms) end
  elseif ttl_ms ~= '' then
    call('SET', KEYS[1], kept, 'PX', ttl_ms)
  else
    call('SET', KEYS[1], kept, 'KEEPTTL')
  end
end
local function answer(verdict)
  -- <durable>
  return ARGV[1] .. verdict .. '","' .. now_text .. '",' .. kept .. ']'
end

-- <proves>

-- <repeats>

-- <guards>

local dies_at = nil  -- the field with the deadline of this state, if the row may start from it
-- <sources>
if not dies_at then
  local paces = false
  -- <paces>
  if not paces or record.pace_mark == mark then return answer('refused') end
  local pace, pace_step, pace_slack
  -- <pace durations>
  local verdict, polled_at, ms = 'refused', number(record.pace_at), number(record.pace_ms)
  if not ms or ms == 0 then ms = pace end
  if polled_at and now < polled_at + ms - pace_slack then
    verdict, ms = 'slow', ms + pace_step
  else
    record.pace_at = now_text
  end
  record.pace_ms, record.pace_mark = digits(ms), mark
  keep('')
  return answer(verdict)
end

if dies_at ~= '' and passed(record[dies_at]) then return answer('expired') end
local deadline_ms = tonumber(ARGV[4])
if deadline_ms and now >= deadline_ms then return answer('expired') end

-- <reads>

local to, counted
local notify = known
-- <to>
if count then
  local counts = number(record[count.field]) or 0
  if count.every_ms > 0 then
    counted, notify = math.max(now, counts) + count.by * count.every_ms, false
    if counted > now + count.limit * count.every_ms then return answer('slow') end
  else
    counted = math.max(0, counts + count.by)
    if counted >= count.limit then to = count.to else notify = false end
  end
end
local version = digits((number(record.version) or 0) + 1)
-- <changes>
if count then record[count.field] = digits(counted) end
if to ~= '' then record.state = to end
record.mark, record.changed_at, record.version = mark, now_text, version

keep(known and '' or ARGV[5])
if notify then call('PUBLISH', ARGV[6], ARGV[7] .. version) end
return answer('applied')
