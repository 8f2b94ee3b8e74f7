/** Units leased in Redis: the arithmetic of store/unit-leases.ts as a script, held equal to it by the cases of its contract. */
import type { UnitLease, UnitLeaseAsk } from '../../store/unit-leases.ts';

/**
 * KEYS: when this memory began, then a hash a counter (holder: `units until`). ARGV: whether nothing was ever leased
 * before, then eight values a counter. The memory's beginning is written by whoever asks first.
 */
export const LEASE = `local t = redis.call('TIME')
local at = t[1] * 1000 + math.floor(t[2] / 1000)
local began = redis.call('GET', KEYS[1])
if not began then
  began = ARGV[1] == '1' and '0' or string.format('%.0f', at)
  redis.call('SET', KEYS[1], began)
end
began = tonumber(began)
local out = {}
local function whole(n) return string.format('%.0f', n) end
for i = 2, #KEYS do
  local key, base = KEYS[i], 8 * (i - 2) + 1
  local holder, change, owed, amount = ARGV[base + 1], tonumber(ARGV[base + 2]), tonumber(ARGV[base + 3]), tonumber(ARGV[base + 4])
  local window, ttl, has, hasUntil = tonumber(ARGV[base + 5]), tonumber(ARGV[base + 6]), tonumber(ARGV[base + 7]), tonumber(ARGV[base + 8])
  local ends = window > 0 and at - at % window + window or at + ttl
  local mine, others, last = nil, 0, at
  local rows = redis.call('HGETALL', key)
  for j = 1, #rows, 2 do
    local units, till = string.match(rows[j + 1], '^(%d+) (%d+)$')
    units, till = tonumber(units), tonumber(till)
    if till <= at then redis.call('HDEL', key, rows[j])
    else
      last = math.max(last, till)
      if rows[j] == holder then mine = units else others = others + units end
    end
  end
  local known
  if window > 0 then
    ends = math.max(ends, last)
    known = ends - window >= began
  else known = began == 0 or at >= began + ttl end
  if not mine then
    mine = 0
    if not known and (window == 0 or hasUntil == ends) then mine = math.min(has, amount) end
  end
  mine = mine + owed
  local more = change
  if change > 0 then more = known and math.max(0, math.min(change, amount - others - mine)) or 0 end
  local own = math.max(0, mine + more)
  local total = others + own
  if not known then total = math.max(amount, total) end
  redis.call('HSET', key, holder, whole(own) .. ' ' .. whole(ends))
  redis.call('PEXPIRE', key, whole(math.max(last, ends) - at + 60000))
  out[#out + 1] = whole(own)
  out[#out + 1] = whole(total)
  out[#out + 1] = whole(ends)
  out[#out + 1] = whole(at)
end
return out`;

export const leaseArguments = (asks: readonly UnitLeaseAsk[], isNew: boolean): string[] => [
  isNew ? '1' : '0',
  ...asks.flatMap(({ holder, change, owed, amount, windowMs, ttlMs, has, hasUntil }) => [
    holder,
    ...[change, owed, amount, windowMs, ttlMs, has, hasUntil].map(String),
  ]),
];

export const leasesIn = (numbers: readonly number[]): UnitLease[] =>
  Array.from({ length: numbers.length / 4 }, (_, i) => {
    const [own = 0, total = 0, until = 0, at = 0] = numbers.slice(4 * i, 4 * i + 4);
    return { own, total, until, at };
  });
