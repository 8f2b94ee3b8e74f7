/** Where servers tell each other what they have admitted, and the script that does it in Redis. */

export interface SumAsk {
  counter: string;
  /** Admitted here since it was last told. */
  delta: number;
  /** Told before, to a store that has forgotten it since: for servers that come later only. */
  again: number;
  /** What is older counts no more, ms. */
  keepMs: number;
  /** The past is kept in slices this long, ms. */
  sliceMs: number;
  /** Asks for the past, without the delta. */
  isJoining: boolean;
}

export interface Sum {
  /** Of all deltas since the store's memory of this counter began. */
  total: bigint;
  /** Another one is another memory. */
  memory: string;
  /** Of who joins: units by their age, the oldest first. */
  past: readonly { ageMs: number; units: number }[];
}

export interface SumStore {
  /** In the order asked. Atomic among all servers. */
  exchange(asks: readonly SumAsk[]): Promise<Sum[]>;
}

/** A hash a counter: `t` total, `g` its memory, `sN` units of slice N. The youngest age of a slice is told: it counts longest. */
export const EXCHANGE = `local t = redis.call('TIME')
local at = t[1] * 1000 + math.floor(t[2] / 1000)
local out = {}
for i, key in ipairs(KEYS) do
  local delta, again, keep, slice, joins = ARGV[5 * i - 4], ARGV[5 * i - 3], tonumber(ARGV[5 * i - 2]), tonumber(ARGV[5 * i - 1]), ARGV[5 * i]
  local memory = redis.call('HGET', key, 'g')
  if not memory then
    memory = t[1] .. '.' .. t[2]
    redis.call('HSET', key, 'g', memory, 't', '0')
  end
  local past = {}
  if joins == '1' then
    local all = redis.call('HGETALL', key)
    for j = 1, #all, 2 do
      local n = string.match(all[j], '^s(%d+)$')
      local age = n and at - (tonumber(n) + 1) * slice
      if age and age < keep then past[#past + 1] = string.format('%.0f:%s', math.max(0, age), all[j + 1]) end
    end
  end
  local told = tonumber(delta) + tonumber(again)
  if told > 0 then
    local field = string.format('s%.0f', math.floor(at / slice))
    if not redis.call('HGET', key, field) then
      for _, name in ipairs(redis.call('HKEYS', key)) do
        local n = string.match(name, '^s(%d+)$')
        if n and at - (tonumber(n) + 1) * slice >= keep then redis.call('HDEL', key, name) end
      end
    end
    redis.call('HINCRBY', key, field, string.format('%.0f', told))
    redis.call('HINCRBY', key, 't', delta)
  end
  redis.call('PEXPIRE', key, string.format('%.0f', keep + slice + 60000))
  out[#out + 1] = redis.call('HGET', key, 't')
  out[#out + 1] = memory
  out[#out + 1] = table.concat(past, ',')
end
return out`;

export const exchangeArguments = (asks: readonly SumAsk[]): string[] =>
  asks.flatMap(({ delta, again, keepMs, sliceMs, isJoining }) => [
    String(delta),
    String(again),
    String(keepMs),
    String(sliceMs),
    isJoining ? '1' : '0',
  ]);

/** Throws Error for what is not an answer of the script. */
export function sumsIn(said: readonly string[]): Sum[] {
  return Array.from({ length: said.length / 3 }, (_, i) => {
    const [total = '', memory = '', past = ''] = said.slice(3 * i, 3 * i + 3);
    if (!/^\d+$/.test(total) || !/^(\d+:\d+(,\d+:\d+)*)?$/.test(past))
      throw new Error(`Redis said ${JSON.stringify([total, past]).slice(0, 60)} where a sum was expected`);
    const slices = past === '' ? [] : past.split(',').map(sliceOf);
    return { total: BigInt(total), memory, past: slices.sort((a, b) => b.ageMs - a.ageMs) };
  });
}

function sliceOf(text: string): { ageMs: number; units: number } {
  const [ageMs = 0, units = 0] = text.split(':').map(Number);
  return { ageMs, units: Math.min(units, Number.MAX_SAFE_INTEGER) };
}
