/** What several servers share in Redis or Valkey: grants of strict quotas, leases of strict rates, sums of the others. */
import { createClient, type RedisClientType } from '@redis/client';
import type { Clock } from '../../domain/environment.ts';
import type { ControlStore, Grant, GrantAsk } from '../../store/control-store.ts';
import type { GrantStore } from '../grants.ts';
import { LEASE, leaseArguments, leasesIn } from './redis-leases.ts';
import { EXCHANGE, exchangeArguments, type SumStore, sumsIn } from './sum-store.ts';

export interface RedisGrantSettings {
  /** `redis://`, `rediss://` (TLS), or `unix:/path/of/its.sock`. */
  url: string;
  clock: Pick<Clock, 'sleep'>;
  /** Before every key; one for an installation. */
  prefix?: string;
  /** Certificates of who signs that of the server, PEM; the machine's own when left away. */
  ca?: string;
  /**
   * This installation has never leased anything in it: nothing is missing when it is empty. Else a Redis that is found
   * empty has lost what was leased, and leases nothing of windows that had begun before.
   */
  isNew?: boolean;
  report(event: string, detail: Record<string, unknown>): void;
}

export type RedisGrants = GrantStore & Pick<ControlStore, 'leaseUnits'> & SumStore & { close(): Promise<void> };

const DAY_MS = 86_400_000;
/** Later than that there is no answer. */
const ANSWER_MS = 1000;
const RECONNECT_MS = 250;
const PREFIX = 'tollgate:';

/**
 * By key: want, amount, end of the period. Returns granted and taken, by key. `%.0f`, because a script writes 10^15 as
 * `1e+15`. Expiry by the clock of Redis, so that a server whose clock is off lets nothing be forgotten early.
 */
const TAKE = `local t = redis.call('TIME')
local now = t[1] * 1000
local out = {}
for i, key in ipairs(KEYS) do
  local want, amount, to = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local taken = tonumber(redis.call('GET', key) or '0')
  local granted = math.max(0, math.min(want, amount - taken))
  taken = taken + granted
  redis.call('SET', key, string.format('%.0f', taken), 'PX', string.format('%.0f', math.max(0, to - now) + ${DAY_MS}))
  out[2 * i - 1] = string.format('%.0f', granted)
  out[2 * i] = string.format('%.0f', taken)
end
return out`;

const RETURN = `for i, key in ipairs(KEYS) do
  local taken = redis.call('GET', key)
  if taken then
    redis.call('SET', key, string.format('%.0f', math.max(0, tonumber(taken) - tonumber(ARGV[i]))), 'KEEPTTL')
  end
end
return {}`;

/** Does not wait for a server that is away: its calls fail then, and limits' fail modes decide. */
export async function openRedisGrants(settings: RedisGrantSettings): Promise<RedisGrants> {
  const { clock, report, prefix = PREFIX } = settings;
  const client = clientOf(settings);
  const within = new Deadline(clock);
  const connected = client.connect().then(() => told(client, report));
  await within.of(connected).catch((error: unknown) => report('limits.redis_away', { error: String(error) }));
  const keyOf = ({ counter, from }: { counter: string; from: number }): string => `${prefix}grant:${from}:${counter}`;
  const run = (script: Script, keys: string[], args: string[]): Promise<string[]> => {
    // A client that is not connected would keep the call, and grant in another life.
    if (!client.isReady) return Promise.reject(new Error('Redis is not connected'));
    return within.of(script.run(client, keys, args));
  };
  const [take, giveBack, lease, exchange] = [TAKE, RETURN, LEASE, EXCHANGE].map((text) => new Script(text)) as [
    Script,
    Script,
    Script,
    Script,
  ];
  let { isNew = false } = settings;
  return {
    takeGrants: async (asks) => {
      if (asks.length === 0) return [];
      const args = asks.flatMap(({ want, amount, to }: GrantAsk) => [String(want), String(amount), String(to)]);
      const said = (await run(take, asks.map(keyOf), args)).map(unitsOf);
      return asks.map((_, i): Grant => ({ granted: said[2 * i] as number, taken: said[2 * i + 1] as number }));
    },
    returnGrants: async (items) => {
      if (items.length === 0) return;
      const args = items.map(({ units }) => String(units));
      await run(giveBack, items.map(keyOf), args);
    },
    leaseUnits: async (asks) => {
      if (asks.length === 0) return [];
      const keys = [`${prefix}began`, ...asks.map(({ counter }) => `${prefix}lease:${counter}`)];
      const said = await run(lease, keys, leaseArguments(asks, isNew));
      isNew = false;
      return leasesIn(said.map(unitsOf));
    },
    exchange: async (asks) => {
      if (asks.length === 0) return [];
      const keys = asks.map(({ counter, sliceMs }) => `${prefix}sum:${sliceMs}:${counter}`);
      return sumsIn(await run(exchange, keys, exchangeArguments(asks)));
    },
    // Keys expire by themselves.
    forgetGrants: () => Promise.resolve(0),
    close: async () => {
      client.destroy();
      await connected.catch(() => undefined);
    },
  };
}

type Client = RedisClientType;

function clientOf({ url, report, ca }: RedisGrantSettings): Client {
  const tls = url.startsWith('rediss:') ? ({ tls: true, ...(ca === undefined ? {} : { ca }) } as const) : {};
  const socket = { connectTimeout: ANSWER_MS, reconnectStrategy: RECONNECT_MS, ...tls };
  const path = /^unix:(?:\/\/)?(\/.+)$/.exec(url)?.[1];
  const where = path === undefined ? { url, socket } : { socket: { ...socket, path } };
  const client = createClient({ ...where, disableOfflineQueue: true }) as unknown as Client;
  let isAway = false;
  client.on('error', (error: unknown) => {
    if (!isAway) report('limits.redis_away', { error: String(error) });
    isAway = true;
  });
  client.on('ready', () => {
    if (isAway) report('limits.redis_back', {});
    isAway = false;
  });
  return client;
}

/** By its hash; a server that does not know it yet is given the text. */
class Script {
  private readonly text: string;
  private hash: string | null = null;

  constructor(text: string) {
    this.text = text;
  }

  async run(client: Client, keys: string[], args: string[]): Promise<string[]> {
    const options = { keys, arguments: args };
    this.hash ??= await client.scriptLoad(this.text);
    try {
      return (await client.evalSha(this.hash, options)) as string[];
    } catch (error) {
      if (!String(error).includes('NOSCRIPT')) throw error;
      return (await client.eval(this.text, options)) as string[];
    }
  }
}

class Deadline {
  private readonly clock: Pick<Clock, 'sleep'>;

  constructor(clock: Pick<Clock, 'sleep'>) {
    this.clock = clock;
  }

  async of<T>(work: Promise<T>): Promise<T> {
    const over = new AbortController();
    const late = this.clock.sleep(ANSWER_MS, over.signal).then(() => {
      throw new Error(`no answer within ${ANSWER_MS} ms`);
    });
    late.catch(() => undefined);
    work.catch(() => undefined);
    try {
      return await Promise.race([work, late]);
    } finally {
      over.abort();
    }
  }
}

/** What would let it forget a grant. Servers that do not let it be asked are believed. */
async function told(client: Client, report: RedisGrantSettings['report']): Promise<void> {
  const want = { appendonly: 'yes', appendfsync: 'always', 'maxmemory-policy': 'noeviction' };
  const found = await client.configGet(Object.keys(want)).catch(() => ({}) as Record<string, string>);
  const wrong = Object.entries(want).filter(([name, value]) => found[name] !== undefined && found[name] !== value);
  if (wrong.length === 0) return;
  const hint = wrong.map(([name, value]) => `${name} ${value}`).join(', ');
  report('limits.redis_forgets', { hint: `strict limits need: ${hint}` });
}

function unitsOf(text: string): number {
  const units = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(units)) return units;
  throw new Error(`Redis said ${JSON.stringify(text).slice(0, 60)} where units were expected`);
}
