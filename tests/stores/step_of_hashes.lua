-- What a row means, in Lua. step.py means the same in Python and explains it; the tests compare
-- every reply of the two, byte for byte. One constant script serves every row: it knows no state
-- and no row by name, so processes of different versions can share one server.
--
-- KEYS[1]  the record, a hash
-- ARGV[1]  the command as JSON: the fields of step.Command
-- ARGV[2]  the channel on which "login_id version" is published if listeners are to be notified
-- ARGV[3]  the time in milliseconds, or '' for the server's own clock
-- returns  { login_id, mark, verdict, now, { name, value, name, value, ... } }

local command = cjson.decode(ARGV[1])
local row, values, durations = command.row, command.values, command.durations

local record, known = {}, false
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  record[fields[i]] = fields[i + 1]
  known = true
end

local function number(text)
  if text and #text <= 15 and text:find('^[0-9]+$') then return tonumber(text) end
end
local function digits(n) return string.format('%.0f', n) end

local now = tonumber(ARGV[3])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
now = math.max(now, number(record.changed_at) or 0)

local state = ''
if known then
  state = record.state or ''
  if state == '' then state = '?' end
end

local function answer(verdict, changes)
  if changes then
    local flat = {}
    for name, value in pairs(changes) do
      record[name] = value
      flat[#flat + 1] = name
      flat[#flat + 1] = value
    end
    redis.call('HSET', KEYS[1], unpack(flat))
  end
  local after = {}
  for name, value in pairs(record) do
    after[#after + 1] = name
    after[#after + 1] = value
  end
  return { command.login_id, command.mark, verdict, digits(now), after }
end

local function matches(name) return (record[name] or '') == (values[name] or '') end
local function proven(name) return (values[name] or '') ~= '' and matches(name) end
local function all(names, holds)
  for _, name in ipairs(names) do
    if not holds(name) then return false end
  end
  return true
end
local function passed(name)
  local instant = number(record[name])
  return not instant or now >= instant
end
local function listed(states)
  for _, listed_state in ipairs(states) do
    if listed_state == state or (listed_state == '*' and known) then return true end
  end
  return false
end

if not all(row.proves, proven) then return answer('forbidden') end

if listed(row.repeats) and all(row.repeats_if, proven)
    and not (row.repeats_until ~= '' and passed(row.repeats_until)) then
  return answer('repeated')
end

local function allows(name) return (record[name] or '') == '' or matches(name) end
if not all(row.guards, allows) then return answer('forbidden') end

local dies_at = row.sources[state]
if not dies_at and known then dies_at = row.sources['*'] end
if not dies_at then
  if not listed(row.paces) or record.pace_mark == command.mark then return answer('refused') end
  local polled_at, ms = number(record.pace_at), number(record.pace_ms)
  if not ms or ms == 0 then ms = durations.pace or 0 end
  if polled_at and now < polled_at + ms - (durations.pace_slack or 0) then
    ms = ms + (durations.pace_step or 0)
    return answer('slow', { pace_ms = digits(ms), pace_mark = command.mark })
  end
  return answer('refused', { pace_at = digits(now), pace_ms = digits(ms), pace_mark = command.mark })
end

if dies_at ~= '' and passed(dies_at) then return answer('expired') end
if command.deadline_ms and now >= command.deadline_ms then return answer('expired') end

if row.reads then return answer('applied') end

local count, refills, refilled_at = row.count, false, 0
if count and (count.every_ms or 0) > 0 then
  refills = true
  refilled_at = math.max(now, number(record[count.field]) or 0) + count.by * count.every_ms
  if refilled_at > now + count.limit * count.every_ms then return answer('slow') end
end

local changes, to, notify = {}, row.to, true
for _, name in ipairs(row.writes) do changes[name] = values[name] or '' end
for _, name in ipairs(row.instants) do changes[name] = digits(now + (durations[name] or 0)) end
for name, ms in pairs(row.starts) do changes[name] = digits(now + (number(record[ms]) or 0)) end
if refills then
  changes[count.field], notify = digits(refilled_at), false
elseif count then
  local counted = math.max(0, (number(record[count.field]) or 0) + count.by)
  changes[count.field] = digits(counted)
  notify = counted >= count.limit
  if notify then to = count.to end
end
if to ~= '' then changes.state = to end
changes.mark = command.mark
changes.changed_at = digits(now)
changes.version = digits((number(record.version) or 0) + 1)

local reply = answer('applied', changes)
if command.ttl_ms and not known then redis.call('PEXPIRE', KEYS[1], digits(command.ttl_ms)) end
if notify then redis.call('PUBLISH', ARGV[2], command.login_id .. ' ' .. changes.version) end
return reply
